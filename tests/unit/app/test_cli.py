"""The command line: exit codes, one sentence for an error, no secret in an argument."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Generator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer

from heldtrue.app import instance
from heldtrue.app.cli import COMMANDS, GROUPS, commands, run
from heldtrue.app.cli.client import Api, RefusedError, encoded
from heldtrue.app.cli.output import sentence
from heldtrue.app.cli.session import open_session
from heldtrue.crypto.tls import TlsFiles, ensure_local_authority
from heldtrue.kernel.errors import BadInputError, NotFoundError, SettingsError, UnavailableError
from heldtrue.kernel.secret import Secret

cli = commands([*COMMANDS, *GROUPS])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError("x"), 2), (BadInputError("x"), 2), (UnavailableError("x"), 1), (NotFoundError(), 1),
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), 1),
    ],
    ids=["settings", "input", "unavailable", "not-found", "the-system"],
)  # fmt: skip
def test_an_error_is_one_sentence_and_an_exit_code(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command("one")
    def one() -> None:
        raise error

    @app.command("two")
    def two() -> None:
        raise typer.Exit(5)

    assert run(app, ["one"]) == status
    assert capsys.readouterr().err.startswith("heldtrue: ")
    assert run(app, ["two"]) == 5
    assert run(app, ["three"]) == 2


def test_a_number_that_no_request_can_hold_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadInputError, match="64-bit"):
        encoded({"cents": 2**70})


def test_advice_follows_the_message() -> None:
    assert sentence(SettingsError("this is wrong", advice="Do that.")) == "this is wrong. Do that."
    assert sentence(SettingsError("Why?")) == "Why?"


def parameters() -> Generator[tuple[str, Any]]:
    """Yield every option of every command."""

    def walk(group: Any, path: str) -> Generator[tuple[str, Any]]:
        for name, command in getattr(group, "commands", {}).items():
            yield from walk(command, f"{path} {name}")
        for parameter in group.params:
            yield path, parameter

    yield from walk(typer.main.get_command(cli), "heldtrue")


def test_no_command_takes_a_secret_as_an_argument() -> None:
    words = ("password", "secret", "token", "credential", "api-key")
    found = list(parameters())
    assert len(found) > 100
    for path, parameter in found:
        for name in (*parameter.opts, *parameter.secondary_opts):
            if any(word in name for word in words):
                assert name == "--credential-file", (path, name)


def test_every_command_but_what_serves_or_prints_a_file_speaks_json() -> None:
    plain = {path for path, _ in parameters()} - {
        path for path, parameter in parameters() if "--json" in parameter.opts
    }
    assert plain == {"heldtrue up", "heldtrue edge", "heldtrue edge config"}


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    whole = typer.main.get_command(cli)  # `run` would make all of them again for each
    for path in {path for path, _ in parameters()} - {"heldtrue verify"}:
        whole([*path.split()[1:], "--help"], prog_name="heldtrue", standalone_mode=False)
        assert f"Usage: {path}" in capsys.readouterr().out


def unknown(group: Any, words: list[str]) -> str | None:
    """Return what of `heldtrue WORDS…` the command line does not have."""
    for at, word in enumerate(words):
        if not getattr(group, "commands", None) or word.startswith("-"):
            break
        group = group.commands.get(word)
        if group is None:
            return " ".join(words[: at + 1])
    known = {"--help"} | {name for one in group.params for name in (*one.opts, *one.secondary_opts)}
    strange = [word for word in words if re.fullmatch("--[a-z-]+", word) and word not in known]
    return " ".join([*words[:2], *strange]) if strange else None


def test_every_command_that_the_documents_name_is_there() -> None:
    root, here = typer.main.get_command(cli), Path(__file__).parents[3]
    missing: list[str] = []
    count = 0
    for page in [
        here / "README.md",
        *sorted((here / "docs").rglob("*.md")),
        *sorted((here / "examples").rglob("*.md")),
    ]:
        text = page.read_text().replace("\\\n", " ")
        for found in re.finditer(r"(?<![\w./-])heldtrue ([a-z][^`|#<&;\n]*)", text):
            if text[found.start() - 1] not in "`$/\n ":
                continue
            words = [word.strip(".,:)\"'").partition("=")[0] for word in found[1].split()]
            if words[0] in COMMANDS or words[0] in GROUPS:
                count += 1
                missing += [f"{page.name}: {what}"] if (what := unknown(root, words)) else []
            elif text[found.start() - 1] == "`":
                missing.append(f"{page.name}: {words[0]}")
    assert count > 200
    assert not missing


def test_a_command_for_an_organisation_asks_for_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["keys", "list", "--data-dir", str(tmp_path)]) == 2
    assert "--credential-file" in capsys.readouterr().err


def test_a_session_finds_what_serves(tmp_path: Path) -> None:
    data = instance.DataDir(tmp_path)
    assert open_session(tmp_path, None, None, None, as_json=False).url == "https://127.0.0.1:8443"
    data.serving.write_text(json.dumps({"url": "https://127.0.0.1:1234"}))
    data.tls.mkdir()
    (data.tls / "ca.pem").write_text("x")
    found = open_session(tmp_path, None, None, None, as_json=False)
    assert found.url == "https://127.0.0.1:1234"
    assert found.ca_file == data.tls / "ca.pem"
    assert open_session(tmp_path, "https://x.example", None, None, as_json=False).ca_file is None


def test_a_saved_secret_is_private_and_overwrites_nothing(tmp_path: Path) -> None:
    session = open_session(tmp_path, None, None, None, as_json=False)
    session.save("abc", tmp_path / "key")
    assert (tmp_path / "key").read_text() == "abc\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="exists already"):
        session.save("def", tmp_path / "key")


class Answers(BaseHTTPRequestHandler):
    """Answers what its server was given, and remembers what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        self.server.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))  # type: ignore[attr-defined]
        status, body = self.server.answers.pop(0)  # type: ignore[attr-defined]
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/problem+json" if status >= 400 else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


class Quiet(HTTPServer):
    """Minds no connection that broke."""

    asked: list[Any]
    answers: list[Any]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Generator[tuple[Quiet, Api, TlsFiles]]:
    files = ensure_local_authority(tmp_path / "tls", datetime.now(UTC))
    server = Quiet(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.asked, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server, Api(f"https://localhost:{server.server_address[1]}", files.ca, Secret("ht_sk_x")), files
    server.shutdown()
    thread.join()
    server.server_close()


def test_pages_are_followed_to_the_end(served: tuple[Quiet, Api, TlsFiles]) -> None:
    server, api, _ = served
    server.answers += [(200, {"data": [1, 2], "next_cursor": "c d"}), (200, {"data": [3], "next_cursor": None})]
    assert list(api.pages("/v1/things", limit=2, state=None)) == [1, 2, 3]
    assert [asked[1] for asked in server.asked] == ["/v1/things?limit=2", "/v1/things?cursor=c+d&limit=2"]
    assert server.asked[0][2]["Authorization"] == "Bearer ht_sk_x"


def test_a_post_that_got_no_answer_is_repeated_under_the_same_key(served: tuple[Quiet, Api, TlsFiles]) -> None:
    server, api, _ = served
    server.answers += [(0, None), (201, {"id": 1})]
    assert api.post("/v1/things", {"a": 1}) == {"id": 1}
    first, second = server.asked
    assert first[2]["Idempotency-Key"] == second[2]["Idempotency-Key"]
    server.answers += [(0, None)]
    with pytest.raises(UnavailableError, match="no answer"):
        api.post("/v1/things", {"a": 1}, idempotent=False)


def test_a_post_of_nothing_has_no_body(served: tuple[Quiet, Api, TlsFiles]) -> None:
    server, api, _ = served
    server.answers += [(200, {}), (200, {})]
    api.post("/v1/things/1/disable", idempotent=False)
    api.post("/v1/things", {})
    (_, _, headers, nothing), (_, _, _, something) = server.asked
    assert (nothing, headers.get("Content-Type"), something) == (b"", None, b"{}")


def test_a_refusal_keeps_its_words(served: tuple[Quiet, Api, TlsFiles]) -> None:
    server, api, _ = served
    server.answers += [(409, {"detail": "It exists.", "advice": "Use it."})]
    with pytest.raises(RefusedError) as caught:
        api.get("/v1/things")
    assert (caught.value.status, sentence(caught.value)) == (409, "It exists. Use it.")


def test_an_unknown_authority_is_told_with_what_to_do(served: tuple[Quiet, Api, TlsFiles], tmp_path: Path) -> None:
    _, api, _ = served
    other = ensure_local_authority(tmp_path / "other", datetime.now(UTC))
    with pytest.raises(UnavailableError) as caught:
        Api(api.url, other.ca, None).get("/")
    assert "--ca-file" in caught.value.advice


def test_a_plain_url_is_refused() -> None:
    with pytest.raises(SettingsError, match="not an https URL"):
        Api("http://127.0.0.1:8443", None, None)


SERVERS = {
    "up", "demo", "backup", "restore", "probe", "ports", "gate", "lint", "edge", "evidence", "findings", "log",
    "claims",
}  # fmt: skip
"""What loads parts of the server; the others only talk to an instance, and are quick to start."""


def test_commands_that_only_talk_to_an_instance_load_no_server() -> None:
    thin = sorted({*COMMANDS, *GROUPS} - SERVERS)
    code = f"import sys; from heldtrue.app.cli import commands; commands({thin}); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()).isdisjoint({"psycopg", "granian", "aiohttp", "heldtrue.app.boot"})


@pytest.mark.parametrize("name", ["keys", "doctor", "version"])
def test_a_command_is_asked_for_by_its_name_though_it_is_loaded_alone(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(commands([name]), [name, "--help"]) == 0
    assert f" {name} [OPTIONS]" in capsys.readouterr().out
