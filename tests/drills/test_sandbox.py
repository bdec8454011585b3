"""The sandbox at work: real walls, real zygotes, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from instance import until

from heldtrue.sandbox.client import RunnerClient, RunnerUnavailableError
from heldtrue.sandbox.engine import Engine
from heldtrue.sandbox.image import Image, ImageError, build
from heldtrue.sandbox.jail.layers import ALL, NAMESPACES
from heldtrue.sandbox.jobs import MIB, Job, JobFile, Language, OutputFile, RunLimits, RunResult
from heldtrue.sandbox.server import serve

pytestmark = pytest.mark.drill
AMPLE = RunLimits(wall_ms=60_000, cpu_seconds=30)
META = {"id": "p1", "source": "http", "received_at": "2026-11-22T12:00:00Z", "envelope": None}
ECHO = "def transform(payload, context):\n    return payload['json']\n"


def job(code: str, language: Language = "python", *, tenant: str = "a", limits: RunLimits = AMPLE) -> Job:
    return Job(
        tenant=tenant,
        language=language,
        code=code.encode(),
        payload=JobFile(None, "application/json", b'{"x": [1, 2]}'),
        meta=META,
        context={"rate": 3},
        limits=limits,
        attachments=[JobFile("a.txt", "text/plain", b"attached")],
    )


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Make the image where an unprivileged user can go; pytest's own directories are closed to others."""
    with tempfile.TemporaryDirectory(prefix="heldtrue-images-") as folder:
        Path(folder).chmod(0o755)
        yield build(Path(folder))


@pytest.fixture(scope="module")
def engine(image: Image) -> Iterator[Engine]:
    made = Engine(image=image)
    asyncio.run(made.__aenter__())
    yield made
    asyncio.run(made.__aexit__())


def run(engine: Engine, code: str, language: Language = "python", **more: object) -> RunResult:
    return asyncio.run(engine.run(job(code, language, **more)))  # type: ignore[arg-type]


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


FORGED = """
import os
for fd in range(3, 60):
    try: os.write(fd, b"E" * 100000)
    except OSError: pass
while True: pass
"""
PYTHON = """
from heldtrue_guest import attachment, log, many
def transform(payload, context):
    print("seen", payload["json"]["x"])
    log("rate", context["rate"])
    return many([payload["json"], attachment("a1").decode(), None])
"""
JAVASCRIPT = """
function transform(payload, context) {
  console.log("seen", payload.json.x);
  log("rate", context.rate);
  return many([payload.json, attachment("a1"), null]);
}
"""


@pytest.mark.parametrize(
    ("language", "code", "file", "logged"),
    [
        ("python", PYTHON, b'"attached"', ("seen [1, 2]", "rate 3")),
        ("javascript", JAVASCRIPT, b'"YXR0YWNoZWQ="', ("seen [1,2]", "rate 3")),
    ],
    ids=["python", "javascript"],
)
def test_a_transform_gets_its_payload_and_gives_outputs_and_logs(
    engine: Engine, language: Language, code: str, file: bytes, logged: tuple[str, ...]
) -> None:
    result = run(engine, code, language)
    assert (result.outcome, result.error) == ("ok", None)
    assert result.outputs == (b'{"x":[1,2]}', file, b"null")
    assert result.logs == logged


@pytest.mark.parametrize(
    ("language", "code", "told"),
    [
        ("python", "def transform(p, c):\n    x = {}\n    return x['no']\n",
         "KeyError: 'no'\n  line 3, in transform: return x['no']"),
        ("python", "def transform(p, c)\n", "SyntaxError: expected ':'"),
        ("python", "x = 1\n", "the code defines no function transform(payload, context)"),
        ("python", "def transform(p, c):\n    return {1, 2}\n", "what transform returned is not JSON"),
        ("python", "import sys\nsys.exit(3)\n", "SystemExit: 3\n  line 2, in <module>: sys.exit(3)"),
        ("javascript", "function transform(p) {\n  return p.json.no.no\n}",
         "TypeError: cannot read property 'no' of undefined\n    at transform (<transform>:2"),
        ("javascript", "let x = ;", "SyntaxError: "),
        ("javascript", "var x = 1", "the code defines no function transform(payload, context)"),
        ("builtin", "nosuch", "there is no shipped transform 'nosuch'"),
    ],
    ids=["raised", "syntax", "missing", "not-json", "exit", "js-raised", "js-syntax", "js-missing", "builtin"],
)  # fmt: skip
def test_an_error_names_the_customers_own_line_and_no_path_of_ours(
    engine: Engine, language: Language, code: str, told: str
) -> None:
    result = run(engine, code, language)
    assert result.outcome == "error"
    assert result.error is not None
    assert told in result.error
    assert "/usr" not in result.error
    assert "/lib" not in result.error


ATTACHES = {
    "python": """
from heldtrue_guest import attach, attachment, file, many

def transform(payload, context):
    return many([attach({"n": 1}, "a1", file("b.csv", "text/csv", attachment("a1") + b"!")), {"n": 2}])
""",
    "javascript": """
function transform(payload, context) {
  const files = ["a1", file("b.csv", "text/csv", attachment("a1"), "base64")];
  return many([attach({n: 1}, ...files), {n: 2}]);
}
""",
}
MAIL = b"""From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello
--b\r\nContent-Type: text/csv; name=t.csv\r\nContent-Disposition: attachment; filename=t.csv\r\n\r\n1,2\r\n--b--\r\n"""


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_an_output_keeps_an_attachment_by_reference_and_carries_what_its_code_made(
    engine: Engine, language: Language
) -> None:
    result = run(engine, ATTACHES[language], language)
    assert (result.outcome, result.outputs) == ("ok", (b'{"n":1}', b'{"n":2}')), result
    kept, made = result.files[0]
    assert kept == OutputFile(of=1)
    assert (made.name, made.content_type) == ("b.csv", "text/csv")
    assert made.data == (b"attached!" if language == "python" else b"attached")
    assert result.files[1] == ()


def test_a_part_of_a_mail_goes_on_as_bytes_under_its_own_name(engine: Engine) -> None:
    code = "from heldtrue_guest import attach\ndef transform(p, c):\n    return attach(1, p['attachments'][0]['ref'])\n"
    mail = replace(job(code), payload=JobFile(None, "message/rfc822", MAIL), attachments=())
    [[part]] = asyncio.run(engine.run(mail)).files
    assert (part.of, part.name, part.data) == (None, "t.csv", b"1,2")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("'a7'", "there is no attachment 'a7'"),
        ("file('../x', 'text/csv', b'')", "FileError: a file's name"),
        ("file('x', 'text', b'')", "FileError: a file's type"),
        ("file('x', 'text/csv', 'x')", "FileError: a file's data are bytes"),
        ("7", "FileError: attach takes references"),
        ("*['a1'] * 21", "an output has at most 20 files"),
        ("file('x', 'text/csv', bytes(9 << 20))", "more bytes than it may"),
    ],
    ids=["unknown", "path", "type", "text", "number", "too-many", "too-much"],
)
def test_what_cannot_be_attached_is_told_to_its_developer(engine: Engine, given: str, told: str) -> None:
    code = f"from heldtrue_guest import attach, file\ndef transform(p, c):\n    return attach(1, {given})\n"
    result = run(engine, code)
    assert result.outcome in {"error", "output"}
    assert told in (result.error or "")
    assert result.files == ()


def test_a_shipped_transform_gives_the_message_itself(engine: Engine) -> None:
    (output,) = run(engine, "message", "builtin").outputs
    assert json.loads(output)["json"] == {"x": [1, 2]}


def test_nothing_returned_is_no_output(engine: Engine) -> None:
    assert run(engine, "def transform(p, c): pass").outputs == ()
    assert run(engine, "function transform() {}", "javascript").outputs == ()


@pytest.mark.parametrize(
    ("code", "language", "limits", "outcome"),
    [
        ("def transform(p, c):\n    while True: pass", "python", replace(AMPLE, wall_ms=300), "timeout"),
        ("import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass", "python",
         replace(AMPLE, cpu_seconds=1), "timeout"),
        ("function transform() { for (;;); }", "javascript", replace(AMPLE, cpu_seconds=1), "timeout"),
        ("def transform(p, c): return len(bytearray(1 << 30))", "python", AMPLE, "memory"),
        ("function transform() { const a = []; for (;;) a.push('x'.repeat(1e6) + a.length); }", "javascript",
         replace(AMPLE, memory=64 * MIB), "memory"),
        ("def transform(p, c): return 'x' * 2000", "python", replace(AMPLE, output_bytes=1000), "output"),
        ("def transform(p, c):\n    import ctypes\n    ctypes.string_at(0)", "python", AMPLE, "crashed"),
        (FORGED, "python", AMPLE, "crashed"),
        ("import os\nos._exit(0)", "python", AMPLE, "crashed"),
    ],
    ids=["wall", "spinning", "js-spinning", "memory", "js-memory", "output", "segfault", "forged", "silent"],
)  # fmt: skip
def test_what_goes_beyond_its_limits_ends_with_a_word_for_it(
    engine: Engine, code: str, language: Language, limits: RunLimits, outcome: str
) -> None:
    result = run(engine, code, language, limits=limits)
    assert result.outcome == outcome
    assert result.outputs == ()
    assert result.error


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "def transform(p, c):\n    for _ in range(2000): print('y' * 1000)"),
        ("javascript", "function transform() { for (let n = 0; n < 2000; n++) console.log('y'.repeat(1000)); }"),
    ],
    ids=["python", "javascript"],
)
def test_logs_beyond_their_limit_are_cut_and_the_run_goes_on(engine: Engine, language: Language, code: str) -> None:
    result = run(engine, code, language)
    assert (result.outcome, result.logs_cut) == ("ok", True)
    assert 60_000 < sum(len(line) for line in result.logs) <= AMPLE.log_bytes


def test_a_run_sees_an_empty_world(engine: Engine) -> None:
    code = """
import os, ctypes
def transform(p, c):
    seen = {}
    for path in ("/proc", "/etc", "/home", "/root", "/dev", "/sys", "/var", "/work"):
        seen[path] = os.path.lexists(path)
    return {"paths": seen, "pid": os.getpid(), "uid": os.getuid(), "env": dict(os.environ), "host": os.uname().nodename,
            "open": [fd for fd in range(64) if fd_is_open(fd)], "prctl": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)}
def fd_is_open(fd):
    try: os.fstat(fd)
    except OSError: return False
    return True
"""
    seen = json.loads(run(engine, code).outputs[0])
    assert not any(seen.pop("paths").values())
    descriptors = seen.pop("open")
    assert descriptors[:3] == [0, 1, 2]
    assert len(descriptors) == 5
    assert seen == {"pid": 1, "uid": 1000, "env": {}, "host": "sandbox", "prctl": -1}


def test_globals_and_files_of_a_run_die_with_it(engine: Engine) -> None:
    code = """
import json, os
def transform(p, c):
    before = [hasattr(json, "left"), os.listdir("/tmp")]
    json.left = True
    open("/tmp/left", "w").write("x")
    return before
"""
    for tenant in ("a", "a", "b"):
        assert json.loads(run(engine, code, tenant=tenant).outputs[0]) == [False, []]


def test_nothing_is_left_of_a_run_that_forks_and_hides(engine: Engine) -> None:
    before = set(children_of(os.getpid()))
    code = """
import os, time
def transform(p, c):
    for _ in range(3):
        if os.fork() == 0:
            if os.fork() == 0:
                while True: time.sleep(60)
            while True: time.sleep(60)
    return "left"
"""
    assert run(engine, code, tenant="a").outcome == "ok"
    until(lambda: len(children_of(os.getpid())) <= len(before) + 1, what="only a refilled pool remains", seconds=30)


def test_a_zygote_never_serves_two_tenants_and_goes_after_its_share(image: Image) -> None:
    async def seeds() -> list[bytes]:
        code = (
            "SEED = hash('x')\ndef transform(p, c): return SEED"  # fixed for each interpreter, different for the next
        )
        async with Engine(image=image, recycle_after=2, pool=0) as engine:
            found = [await engine.run(job(code, tenant=tenant)) for tenant in ("a", "a", "b", "a")]
            return [each.outputs[0] for each in found]

    first, second, other, third = asyncio.run(seeds())
    assert first == second
    assert len({first, other, third}) == 3


def test_a_cancelled_run_ends_at_once(engine: Engine) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(engine.run(job("while True: pass")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task, 0.5)

    asyncio.run(asyncio.wait_for(cancelled(), 20))


def test_without_namespaces_nothing_can_be_opened_forked_or_signalled(image: Image) -> None:
    code = """
import os, socket
def transform(p, c):
    tried = {}
    def attempt(name, work):
        try: work(); tried[name] = "done"
        except OSError as error: tried[name] = error.errno
    attempt("read", lambda: open("/etc/passwd").read())
    attempt("write", lambda: open("left", "w"))
    attempt("list", lambda: os.listdir("/"))
    attempt("fork", os.fork)
    attempt("kill", lambda: os.kill(os.getppid(), 0))
    attempt("socket", socket.socket)
    return tried
"""

    async def tried() -> RunResult:
        async with Engine(image=image, layers=ALL.without(*NAMESPACES), pool=0, spare=False) as engine:
            return await engine.run(job(code))

    result = asyncio.run(tried())
    assert json.loads(result.outputs[0]) == {"read": 13, "write": 13, "list": 13, "fork": 1, "kill": 1, "socket": 13}


POORER = """
import asyncio, ctypes, struct, sys
from pathlib import Path
from heldtrue.sandbox.engine import Engine
from heldtrue.sandbox.jail import calls
from heldtrue.sandbox.levels import SandboxRefusedError
kind, images = sys.argv[1:]
def deny(number, argument):  # answers EINVAL to one system call, or to one option of prctl
    lines = [(0x20, 0, 0, 0), (0x15, 0, 1, number)]
    if argument is not None:
        lines = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, argument)]
    lines += [(6, 0, 0, 0x50016), (6, 0, 0, 0x7FFF0000)]
    calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)
    calls.install_filter(b"".join(struct.pack("=HBBI", *line) for line in lines))
numbers = {"x86_64": (272, 157, 444), "aarch64": (97, 167, 444)}[__import__("os").uname().machine]
if kind in ("no-namespaces", "neither"): deny(numbers[0], None)
if kind == "no-mdwe": deny(numbers[1], 65)
if kind in ("no-landlock", "neither"): deny(numbers[2], None)
async def main():
    try:
        async with Engine(images=Path(images), pool=0, spare=False) as engine:
            print(engine.about.level, sorted(set(engine.about.missing) - {"cgroup"}))
    except SandboxRefusedError as error:
        print("refused", error.layer)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("no-mdwe", "older-kernel ['mdwe']"),
        ("no-namespaces", "landlock-seccomp ['cgroup_ns', 'ipc', 'mount', 'net', 'pid', 'user', 'uts']"),
        ("no-landlock", "refused landlock"),
        ("neither", "refused landlock"),
    ],
    ids=["no-mdwe", "no-namespaces", "no-landlock", "neither"],
)
def test_a_poorer_kernel_is_a_lower_level_or_none(image: Image, kind: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", POORER, kind, str(image.path.parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (told, "")


def test_an_image_that_others_could_have_written_is_refused(image: Image, tmp_path: Path) -> None:
    made = build(tmp_path)
    assert (made.digest, made.path.name) == (image.digest, image.path.name)
    made.path.chmod(0o777)
    with pytest.raises(ImageError, match="can be written by others"):
        build(tmp_path)


@asynccontextmanager
async def serving(image: Image, path: Path) -> AsyncIterator[RunnerClient]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        stop, started = asyncio.Event(), asyncio.Event()
        server = asyncio.create_task(serve(listener, stop=stop, image=image, started=started, pool=0))
        await asyncio.wait({server, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
        client = RunnerClient(path)
        try:
            yield client
        finally:
            stop.set()
            await server
            await client.close()


def test_jobs_come_over_a_socket_side_by_side(image: Image, tmp_path: Path) -> None:
    async def ask() -> None:
        async with serving(image, tmp_path / "runner") as client:
            about = await client.about()
            results = await asyncio.gather(*(client.run(job(ECHO, tenant=f"t{number % 2}")) for number in range(4)))
            assert {each.outputs for each in results} == {(b'{"x":[1,2]}',)}
            assert {each.sandbox for each in results} == {about.sandbox}
            assert about.level == "full"
        with pytest.raises(RunnerUnavailableError):
            await client.run(job(ECHO))

    asyncio.run(ask())


def test_whoever_speaks_another_protocol_is_told_and_hung_up_on(image: Image, tmp_path: Path) -> None:
    async def ask() -> None:
        async with serving(image, tmp_path / "runner"):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "runner"))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 20)
            assert b"bad-input" in answer
            writer.close()

    asyncio.run(ask())
