"""The section `[edge]`: every mistake is named, with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from heldtrue.app.edge_policy import policy_of
from heldtrue.app.settings import Settings, load
from heldtrue.kernel.errors import SettingsError

GOOD = """
[edge]
listen = "unix:/run/heldtrue/edge.sock"
processes = 2
trusted_proxies = ["unix", "127.0.0.1/32"]
upstream = "http://127.0.0.1:3000"
proxy_listen = "0.0.0.0:443"
public_host = "api.example.com"
valkey = "file:/etc/heldtrue/valkey"
[[edge.routes]]
match = "GET,HEAD /v1/orders/*"
scope = "orders.read"
class = "read"
[[edge.routes]]
match = "/hooks/**"
public = true
[edge.limits.organisation]
burst = 10
per_second = 5
per_hour = 1000
[edge.limits.classes.read]
burst = 3
per_second = 0.5
"""


def loaded(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "heldtrue.toml").write_text(text)
    return load(tmp_path / "heldtrue.toml", {})


def test_the_section_becomes_rules_and_limits(tmp_path: Path) -> None:
    edge = loaded(tmp_path, GOOD).edge
    policy = policy_of(edge)
    orders, hooks = policy.rules
    assert (orders.methods, orders.pattern, orders.scope) == ({"GET", "HEAD"}, "/v1/orders/*", "orders.read")
    assert (hooks.methods, hooks.public) == (frozenset(), True)
    assert [one.name for one in policy.limits["default"].policies] == ["organisation", "organisation-hour", "key"]
    assert "class-read" in {one.name for one in policy.limits["read"].policies}


def test_without_the_section_there_is_no_door() -> None:
    assert not Settings().edge.opens


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('listen = "unix:/run/edge.sock"', "names nobody who may ask"),
        ('listen = "unix:/run/edge.sock"\ntrusted_proxies = ["10.0.0.0/8"]', "does not trust who may open it"),
        ('listen = "unix:edge.sock"\ntrusted_proxies = ["unix"]', "not an absolute path"),
        ('listen = "10.0.0.1:8444"\ntrusted_proxies = ["10.0.0.0/8"]', "edge.client_ca is not set"),
        ('listen = "8444"\ntrusted_proxies = ["10.0.0.0/8"]', "is not HOST:PORT"),
        ('trusted_proxies = ["0.0.0.0/0"]', "is everybody"),
        ('upstream = "http://127.0.0.1:3000"', "edge.proxy_listen is not"),
        ('proxy_listen = "0.0.0.0:443"', "edge.upstream is not"),
        ('upstream = "http://127.0.0.1/api"\nproxy_listen = "0.0.0.0:443"', "not the origin"),
        ('upstream = "ftp://127.0.0.1"\nproxy_listen = "0.0.0.0:443"', "not the origin"),
        ('upstream = "http://u:secretword@127.0.0.1"\nproxy_listen = "0.0.0.0:443"', "secret in clear"),
        ('public_host = "https://api.example.com"', "not a host name"),
        ('valkey = "redis://127.0.0.1"', "not a secret URI"),
        ('upstream_name = "My API"', "not a name"),
        ('[[edge.routes]]\nmatch = "get /v1"', "not a method and a path"),
        ('[[edge.routes]]\nmatch = "GET /v1/**/x"', "not a method and a path"),
        ('[[edge.routes]]\nmatch = "/v1"\nclass = "read"', "has no limits"),
        ('[[edge.routes]]\nmatch = "/v1"\npublic = true\nscope = "a"', "nobody needs a scope"),
        ('[[edge.routes]]\nmatch = "/v1"\nscpoe = "a"', "scpoe"),
        ("procceses = 2", "edge.processes"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(tmp_path, f"[edge]\n{line}\n")
    assert said in f"{raised.value.message} {raised.value.advice}"
    assert raised.value.advice
    assert "secretword" not in raised.value.message
