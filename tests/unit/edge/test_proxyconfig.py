"""The generated configurations: what may stand in them, what must, and the command that writes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st

from heldtrue.app.cli import run
from heldtrue.app.cli.edge_config import config_command
from heldtrue.capabilities.edge.identity import IDENTITY_HEADERS
from heldtrue.capabilities.edge.proxyconfig import Kind, Parameters, render
from heldtrue.capabilities.edge.proxyconfig.parameters import (
    Caps,
    DoorTls,
    Place,
    UnusableParameterError,
    parse_door,
    parse_upstream,
)

KINDS: list[Kind] = ["nginx", "caddy", "traefik", "envoy"]


def parameters(**changed: Any) -> Parameters:
    known: dict[str, Any] = {
        "public_host": "api.example.com",
        "upstream": Place(host="127.0.0.1", port=3000),
        "door": Place(host="127.0.0.1", port=8444),
        "cert": "/etc/tls/api.pem",
        "key": "/etc/tls/api.key",
    }
    return Parameters(**{**known, **changed})


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_parameters_give_the_same_bytes(kind: Kind) -> None:
    text = render(kind, parameters())
    assert text == render(kind, parameters())
    assert text.startswith("# Heldtrue's door in front of api.example.com")
    assert "{{" not in text
    assert "{%" not in text
    for said in ("Install:", "Test:", "/etc/tls/api.pem", "max-age=63072000" if kind != "traefik" else "stsSeconds"):
        assert said in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_identity_header_is_handled(kind: Kind) -> None:
    text = render(kind, parameters()).lower()
    if kind == "traefik":
        assert 'authresponseheadersregex: "(?i)^heldtrue-"' in text
        return
    for name in IDENTITY_HEADERS:
        assert name in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_door_elsewhere_is_asked_with_a_client_certificate(kind: Kind) -> None:
    elsewhere = Place(host="door.example.com", port=8444)
    with pytest.raises(UnusableParameterError, match="client certificate"):
        parameters(door=elsewhere)
    text = render(kind, parameters(door=elsewhere, door_tls=DoorTls(ca="/d/ca.pem", cert="/d/c.pem", key="/d/k.pem")))
    assert all(path in text for path in ("/d/ca.pem", "/d/c.pem", "/d/k.pem", "door.example.com"))


def test_nothing_listens_on_port_80_unless_asked() -> None:
    plain, redirecting = (render("nginx", parameters(redirect=redirect)) for redirect in (False, True))
    assert re.findall(r"(?m)^ +listen (\S+)", plain) == ["443", "443"]
    assert "listen 80;" in redirecting
    assert "auto_https disable_redirects" in render("caddy", parameters())


def test_only_nginx_without_a_firewall_lacks_the_rules() -> None:
    assert "modsecurity-crs/rules" in render("nginx", parameters())
    assert "modsecurity" not in render("nginx", parameters(waf=False)).lower()


def test_traefik_and_caddy_say_what_they_cannot() -> None:
    with pytest.raises(UnusableParameterError, match="TCP"):
        render("traefik", parameters(door=Place(path="/run/heldtrue/edge.sock")))
    with pytest.raises(UnusableParameterError, match="certificate"):
        render("nginx", parameters(cert=None, key=None))
    assert "    tls {" in render("caddy", parameters(cert=None, key=None)).replace("\t", "    ")


@given(st.text(max_size=40))
def test_no_text_breaks_out_of_a_configuration(text: str) -> None:
    for name in ("public_host", "cert", "key", "listen"):
        try:
            made = parameters(**{name: text})
        except UnusableParameterError:
            continue
        assert not set(str(getattr(made, name))) & set(" \t\r\n;{}$\"'`#\\<>()")
    for parse in (parse_door, parse_upstream):
        try:
            parse(text)
        except UnusableParameterError:
            continue
        assert not set(text) & set(" \t\r\n;{}$\"'`#\\<>()")


@pytest.mark.parametrize(
    ("text", "place", "tls"),
    [
        ("http://127.0.0.1:3000", Place(host="127.0.0.1", port=3000), False),
        ("https://internal.example.com/", Place(host="internal.example.com", port=443), True),
        ("http://[::1]:3000", Place(host="[::1]", port=3000), False),
        ("http://[::1]", Place(host="[::1]", port=80), False),
        ("unix:/run/api.sock", Place(path="/run/api.sock"), False),
    ],
)
def test_an_upstream_is_read(text: str, place: Place, tls: bool) -> None:
    assert parse_upstream(text) == (place, tls)


@pytest.mark.parametrize(
    "text", ["", "ftp://a", "http://", "http://a/b", "127.0.0.1:1", "http://a:0", "unix:relative", "unix:/a/../b"]
)
def test_no_other_upstream_is(text: str) -> None:
    with pytest.raises(UnusableParameterError):
        parse_upstream(text)


@pytest.mark.parametrize(
    "caps", [{"body_bytes": 0}, {"header_bytes": 1}, {"connections": 0}, {"requests_per_second": 0}]
)
def test_no_cap_is_off(caps: dict[str, int]) -> None:
    with pytest.raises(UnusableParameterError):
        Caps(**caps)


def test_envoy_reads_as_documented() -> None:
    found = yaml.safe_load(render("envoy", parameters(door=Place(path="/run/heldtrue/edge.sock"))))
    (listener,) = found["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    names = [one["name"].rpartition(".")[2] for one in manager["http_filters"]]
    assert names == ["header_mutation", "ext_authz", "buffer", "router"]
    asked = manager["http_filters"][1]["typed_config"]
    assert asked["failure_mode_allow"] is False
    assert asked["http_service"]["path_prefix"] == "/auth/envoy"
    assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
    assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    door = found["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert door["address"] == {"pipe": {"path": "/run/heldtrue/edge.sock"}}
    assert "admin" not in found


def test_traefik_reads_as_documented() -> None:
    found = yaml.safe_load(render("traefik", parameters()))["http"]
    asked = found["middlewares"]["heldtrue-door"]["forwardAuth"]
    assert asked["address"] == "http://127.0.0.1:8444/auth/traefik"
    assert asked["trustForwardHeader"] is False
    for router in found["routers"].values():
        assert "heldtrue-door" in router["middlewares"]
        assert router["tls"] == {"options": "heldtrue"}


# ---------------------------------------------------------------- the command


def asked(*arguments: object) -> int:
    root, edge = typer.Typer(), typer.Typer()
    config_command(edge)
    edge.command("other")(lambda: None)
    root.add_typer(edge, name="edge")
    return run(root, ["edge", "config", *map(str, arguments)])


def test_the_command_takes_what_it_was_not_told_from_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "heldtrue.toml").write_text(
        '[edge]\nlisten = "unix:/run/x/door.sock"\ntrusted_proxies = ["unix"]\npublic_host = "api.example.org"\n'
    )
    assert asked("caddy", "--upstream", "http://127.0.0.1:3000", "--data-dir", tmp_path) == 0
    text = capsys.readouterr().out
    assert "https://api.example.org:443" in text
    assert "unix//run/x/door.sock" in text


def test_the_command_never_writes_over_a_file_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "heldtrue.conf"
    told = "--public-host api.example.com --upstream http://127.0.0.1:3000 --cert /c --key /k"
    given = ("nginx", *told.split(), "--data-dir", tmp_path, "--out", out)
    assert asked(*given) == 0
    out.write_text("edited")
    assert asked(*given) == 1
    assert out.read_text() == "edited"
    assert "--force" in capsys.readouterr().err
    assert asked(*given, "--force", "--no-waf", "--body-limit", "5m") == 0
    assert "client_max_body_size 5242880;" in out.read_text()


@pytest.mark.parametrize(
    "wrong", [("apache",), ("nginx",), ("caddy", "--body-limit", "much"), ("caddy", "--door-ca", "/a")]
)
def test_the_command_says_what_it_cannot_use(
    tmp_path: Path, wrong: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--public-host", "api.example.com", "--upstream", "http://127.0.0.1:3000", "--data-dir", tmp_path)
    assert asked(*wrong, *given) == 2
    assert capsys.readouterr().err.startswith("heldtrue: ")
