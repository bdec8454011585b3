"""The operator's own claims stand beside those that ship, never in their place; declared checks see a violation."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import key_and_cert, write

from heldtrue.app.settings import load as load_settings
from heldtrue.attack import Attack, Outcome, Place, held
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.claims import posture
from heldtrue.claims.attacks import ATTACKS
from heldtrue.claims.broken import CONTROLS
from heldtrue.claims.broken.permit import Broken
from heldtrue.claims.catalogue import CATALOGUE
from heldtrue.claims.own import Extension, Known, Own, OwnClaimsError, installed, join, opened
from heldtrue.claims.posture.way import Way
from heldtrue.claims.rehearsal import rehearse_all
from heldtrue.kernel.errors import SettingsError

SHIPPED = Known(catalogue=CATALOGUE, attacks=ATTACKS, controls=CONTROLS)
TOML = """
group = "Ours"
about = "About."
[[claim]]
id = "own.held"
sentence = "It holds."
scope = "All of it."
attacks = ["own.held"]
cadence = "1h"
max_age = "4h"
"""


def an_attack(name: str = "own.held", breaks: str = "own-broken") -> Attack:
    return Attack(name=name, place=Place.OBSERVE, tries=("T.",), run=lambda _: held("x", n=1), breaks=breaks)


def an_extension(claims: str = TOML, *attacks: Attack, control: str = "own-broken") -> Own:
    broken = Broken(name=control, what="It is broken.")
    return opened(Extension(claims=claims, attacks=attacks or (an_attack(),), controls=(broken,)))


def test_own_claims_stand_behind_the_shipped_ones_and_say_whose_they_are() -> None:
    known = join(SHIPPED, [("ours", an_extension())])
    assert known.catalogue.claims[:-1] == CATALOGUE.claims
    assert [claim.id for claim in known.catalogue.claims if claim.own] == ["own.held"]
    assert known.catalogue.groups[-1].name == "Ours"
    assert {"own.held"} == known.attacks.keys() - ATTACKS.keys()


@pytest.mark.parametrize(
    ("own", "what"),
    [
        (an_extension(TOML.replace('id = "own.held"', 'id = "transport.tls"')), "none can be replaced"),
        (an_extension(TOML, an_attack(), an_attack("transport.old_tls")), "none can be replaced"),
        (an_extension(control="limits-off"), "none can be replaced"),
        (an_extension(TOML.replace('"Ours"', '"Access"')), "heading"),
        (an_extension(TOML.replace("sentence =", 'rows = ["A1"]\nsentence =')), "row of the index"),
        (an_extension(TOML.replace('attacks = ["own.held"]', 'attacks = ["own.gone"]')), "that there are not"),
        (an_extension(TOML, an_attack(breaks="own-gone")), "no broken control"),
        (an_extension(TOML, an_attack(), an_attack("own.idle")), "belongs to no claim"),
        (an_extension(TOML, an_attack(), an_attack()), "none can be replaced"),
    ],
    ids=["claim", "attack", "control", "heading", "row", "no-attack", "no-control", "idle", "twice"],
)
def test_what_would_replace_or_speak_for_another_is_refused(own: Own, what: str) -> None:
    with pytest.raises(OwnClaimsError, match=what):
        join(SHIPPED, [("ours", own)])


def test_two_packages_cannot_replace_each_other() -> None:
    with pytest.raises(OwnClaimsError, match="second"):
        join(SHIPPED, [("first", an_extension()), ("second", an_extension())])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution with an entry point, as pip leaves it."""
    info = tmp_path / "ours_9-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ours-9\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[heldtrue.claims]\nours = ours_nine:EXTENSION\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ours_nine", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "what"),
    [("EXTENSION = 1\n", "is no"), ("raise ValueError('x')\n", "cannot be loaded"), ("", "cannot be loaded")],
    ids=["other", "raises", "nothing"],
)
def test_a_package_that_cannot_be_used_is_named(package: Path, source: str, what: str) -> None:
    (package / "ours_nine.py").write_text(source)
    with pytest.raises(OwnClaimsError, match=f"ours.*{what}"):
        installed()


def test_an_installed_package_is_found_by_its_entry_point(package: Path) -> None:
    promised = TOML.partition("attacks = ")[0]
    (package / "ours_nine.py").write_text(
        f"from heldtrue.claims.own import Extension\nEXTENSION = Extension(claims='''{promised}''')\n"
    )
    assert [(name, own.claims[0].id) for name, own in installed()] == [("ours", "own.held")]


# ---------------------------------------------------------------- the posture file

CLAIM = """
[[claim]]
id = "site.front"
sentence = "Our front page is as promised."
scope = "The front page."
cadence = "1h"
max_age = "4h"
"""


class Site(BaseHTTPRequestHandler):
    """A page with a header, and a document."""

    def do_GET(self) -> None:
        body = b'{"state": {"ok": true, "left": [1, 2]}}' if self.path == "/state.json" else b"<p>here"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Promise", "kept; always")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, Way]]:
    home = tmp_path_factory.mktemp("site")
    authority = key_and_cert("authority", None)
    write(home, "ca", *authority)
    write(home, "host", *key_and_cert("localhost", authority, host=True))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "host.pem", home / "host.key")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"localhost:{server.server_address[1]}", Way(AllowList.parse(["127.0.0.0/8"]), home / "ca.pem")
    server.shutdown()
    server.server_close()
    thread.join()


def checks(place: str, file: Path) -> dict[str, tuple[str, Outcome]]:
    url = f"https://{place}/"
    return {
        "has": (f'kind = "header"\nurl = "{url}"\nname = "X-Promise"\ncontains = "KEPT"', Outcome.HELD),
        "says-other": (f'kind = "header"\nurl = "{url}"\nname = "X-Promise"\ncontains = "gone"', Outcome.BROKEN),
        "has-not": (f'kind = "header"\nurl = "{url}"\nname = "Server"\npresent = false', Outcome.BROKEN),
        "tls-1.2": (f'kind = "tls"\nat = "{place}"\nminimum = "1.2"', Outcome.HELD),
        "tls-1.3": (f'kind = "tls"\nat = "{place}"\nminimum = "1.3"', Outcome.BROKEN),
        "value": (f'kind = "json"\nurl = "{url}state.json"\npointer = "/state/left/1"\nequals = 2', Outcome.HELD),
        "true": (f'kind = "json"\nurl = "{url}state.json"\npointer = "/state/ok"\nequals = true', Outcome.HELD),
        "one": (f'kind = "json"\nurl = "{url}state.json"\npointer = "/state/ok"\nequals = 1', Outcome.BROKEN),
        "no-value": (f'kind = "json"\nurl = "{url}state.json"\npointer = "/no"\nequals = 1', Outcome.BROKEN),
        "fresh": (f'kind = "file-age"\npath = "{file}"\nmax_age = "1h"', Outcome.HELD),
        "no-file": (f'kind = "file-age"\npath = "{file}.gone"\nmax_age = "1h"', Outcome.BROKEN),
    }


@pytest.mark.parametrize("name", checks("localhost:1", Path("/x")))
def test_a_declared_check_judges_what_is_there_and_sees_a_violation(
    site: tuple[str, Way], tmp_path: Path, name: str
) -> None:
    place, way = site
    (tmp_path / "file").touch()
    declared, expected = checks(place, tmp_path / "file")[name]
    own = posture.parse(f"{CLAIM}[[claim.check]]\n{declared}\n", "posture.toml", way)
    (rehearsed,) = rehearse_all(own).values()
    assert (rehearsed.control.outcome, rehearsed.broken.outcome) == (expected, Outcome.BROKEN), rehearsed.control.detail


def test_no_check_dials_what_is_not_public(site: tuple[str, Way]) -> None:
    place, way = site
    declared = f'[[claim.check]]\nkind = "tls"\nat = "{place}"\nminimum = "1.2"\n'
    own = posture.parse(CLAIM + declared, "posture.toml", replace(way, allow=AllowList()))
    (rehearsed,) = rehearse_all(own).values()
    assert rehearsed.control.outcome is Outcome.ERROR
    assert "no address that may be dialled" in rehearsed.control.detail


def test_another_declaration_is_another_source() -> None:
    def source(age: str) -> str:
        text = f'{CLAIM}[[claim.check]]\nkind = "file-age"\npath = "/x"\nmax_age = "{age}"\n'
        return posture.parse(text, "posture.toml", Way()).attacks[0].source_sha256

    assert source("1h") == source("1h") != source("2h")


@pytest.mark.parametrize(
    "text",
    [
        "no toml",
        CLAIM,
        CLAIM + '[[claim.check]]\nkind = "shell"\nrun = "rm"\n',
        CLAIM + '[[claim.check]]\nkind = "file-age"\npath = "x"\nmax_age = "1h"\n',
        CLAIM + '[[claim.check]]\nkind = "header"\nurl = "http://www.example.com/"\nname = "X"\n',
        CLAIM + '[[claim.check]]\nkind = "tls"\nat = "www.example.com:443"\nminimum = "1.0"\n',
        CLAIM.replace('"4h"', '"1h"') + '[[claim.check]]\nkind = "file-age"\npath = "/x"\nmax_age = "1h"\n',
        CLAIM + 'state = "proven"\n[[claim.check]]\nkind = "file-age"\npath = "/x"\nmax_age = "1h"\n',
    ],
    ids=["toml", "no-check", "kind", "relative", "plain", "old", "age", "state"],
)
def test_an_unsound_posture_file_is_refused(text: str) -> None:
    with pytest.raises(OwnClaimsError, match=r"posture\.toml"):
        posture.parse(text, "posture.toml", Way())


def test_a_posture_file_is_named_by_a_whole_path_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="whole path"):
        load_settings(None, {"posture.file": "posture.toml"})
    with pytest.raises(OwnClaimsError, match="cannot be read"):
        posture.load(tmp_path / "gone.toml", AllowList())
