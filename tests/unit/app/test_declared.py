"""The one table of listeners: what the settings open, and what a firewall lets in for them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from absent import absent

from heldtrue.app.declared import declared, firewall
from heldtrue.app.settings import load

ALL = """
listen = "0.0.0.0:443"
base_url = "https://api.example.com"
[edge]
listen = "127.0.0.1:8444"
proxy_listen = "[::]:8445"
upstream = "http://127.0.0.1:3000"
upstream_name = "shop"
public_host = "shop.example.com"
trusted_proxies = ["127.0.0.1/32"]
[mail]
listen = "0.0.0.0:25"
implicit_tls = "0.0.0.0:465"
domain = "in.example.com"
hostname = "mx.example.com"
"""


def settings(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "heldtrue.toml"
    file.write_text(text)
    return load(file, {})


def test_every_listening_setting_is_in_the_table(tmp_path: Path) -> None:
    found = declared(settings(tmp_path, ALL))
    assert [(one.what, one.host, one.port, one.name) for one in found] == [
        ("api", "0.0.0.0", 443, "api.example.com"),
        ("door", "127.0.0.1", 8444, "api.example.com"),
        ("proxy", "::", 8445, "shop.example.com"),
        ("mail", "0.0.0.0", 25, "mx.example.com"),
        ("mail over TLS", "0.0.0.0", 465, "mx.example.com"),
    ]
    assert [one.what for one in found if one.starttls] == ["mail"]
    assert [one.what for one in found if one.clear] == ["door"]
    assert [one.what for one in found if not one.outside] == ["door"]


def test_a_unix_socket_is_no_listener_of_the_network(tmp_path: Path) -> None:
    text = '[edge]\nlisten = "unix:/run/heldtrue/edge.sock"\ntrusted_proxies = ["unix"]\n'
    assert [one.what for one in declared(settings(tmp_path, text))] == ["api"]


def test_the_firewall_lets_in_what_others_may_reach_and_nothing_else(tmp_path: Path) -> None:
    rules = firewall(declared(settings(tmp_path, ALL)), ssh=22)
    assert "tcp dport { 22, 25, 443, 465, 8445 } accept" in rules
    assert "policy drop" in rules
    assert "8444" not in rules
    assert "dport" not in firewall(declared(settings(tmp_path, "")))


@pytest.mark.parametrize("ssh", [None, 2222])
def test_nft_takes_the_rules(tmp_path: Path, ssh: int | None) -> None:
    file = tmp_path / "rules.nft"
    file.write_text(firewall(declared(settings(tmp_path, ALL)), ssh=ssh))
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if nft is None:
        absent("nft")
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    checked = subprocess.run([*alone, nft, "-c", "-f", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
