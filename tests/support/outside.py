"""What calls are made against: a receiver over real TLS, and name servers that answer what they are told."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from receiver import Behaviour, Receiver, answers, babbles, drips, drops, floods

from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.connector import Ways
from heldtrue.capabilities.egress.broker import calling
from heldtrue.capabilities.egress.grants import Call, Caps, Grant, GrantCredential, GrantRule

LOOPBACK = AllowList.parse(["127.0.0.0/8"])
VALUE = "s3cr3t/Value+42=x"
BEARER = "Bearer {{credential:books}}"


class Names(AbstractResolver):
    """A name server that answers with the next of its answers at each question."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, proto=0, flags=0,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            )
            for address in found
        ]  # fmt: skip

    async def close(self) -> None:
        return None


async def echoes(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer with every header and the body, in the spellings that servers echo things in."""
    held = request.headers.get("Authorization", "")
    value = held.removeprefix("Bearer ")
    found: dict[str, Any] = {
        "headers": dict(request.headers),
        "body": (await request.read()).decode("latin-1"),
        "held": [held, base64.b64encode(held.encode()).decode(), quote(value, safe=""), value.encode().hex()],
    }
    return web.json_response(found, headers={"X-Held": held, "X-Again": base64.b64encode(value.encode()).decode()})


async def zips(_receiver: Receiver, request: web.Request) -> web.StreamResponse:
    """Answer compressed, although nobody asked for it."""
    held = request.headers.get("Authorization", "")
    return web.Response(body=zlib.compress(held.encode()), headers={"Content-Encoding": "deflate"})


BEHAVE: dict[str, Behaviour] = {
    "/echo": echoes,
    "/zip": zips,
    "/flood": floods,
    "/drip": drips,
    "/drop": drops,
    "/babble": babbles,
    "/moved": answers(302, Location="https://169.254.169.254/latest/meta-data/"),
    "/long": answers(200, "x" * 5000),
}


@dataclass
class Outside:
    """One execution's calls, made by the broker's own code in this process."""

    receiver: Receiver
    rules: tuple[GrantRule, ...]
    credentials: Mapping[str, GrantCredential]
    caps: Caps = field(default_factory=lambda: Caps(call_seconds=20))
    allow: AllowList = LOOPBACK
    resolver: AbstractResolver | None = None
    account: calling.Account | None = None
    made: list[Call] = field(default_factory=list[Call])

    @property
    def host(self) -> str:
        return f"localhost:{self.receiver.port}"

    def url(self, path: str = "/echo") -> str:
        return f"https://{self.host}{path}"

    def but(self, **changed: Any) -> Outside:
        return replace(self, account=None, made=[], **changed)

    def trusting(self) -> ssl.SSLContext:
        """Return what takes the receiver's certificate on the public way, too."""
        return ssl.create_default_context(cafile=str(self.receiver.ca_file))

    def grant(self) -> Grant:
        return Grant(self.rules, self.credentials, self.caps)

    def call(
        self, url: str | None = None, *, method: str = "GET", headers: Any = (), body: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        """Make one call and return what the code is told; `account` and `made` say what is recorded."""
        account = self.account = self.account or calling.Account(self.grant())

        async def make() -> tuple[dict[str, Any], bytes]:
            ways = Ways(
                self.allow, ca_file=self.receiver.ca_file, authorities=None, resolver=self.resolver, concurrency=8,
            )  # fmt: skip
            try:
                head = {"method": method, "url": self.url() if url is None else url, "headers": list(headers)}
                return await calling.answer(account, ways, head, body)
            finally:
                await ways.close()

        said = asyncio.run(make())
        self.made = list(account.told().calls)
        return said

    def refused(self, url: str | None = None, **more: Any) -> str:
        """Make one call that is refused; return its code."""
        head, body = self.call(url, **more)
        assert set(head) == {"refused"}, head
        assert body == b""
        return head["refused"][0]


def outside_of(receiver: Receiver) -> Outside:
    """Return what may call *receiver*, with one credential."""
    host = f"localhost:{receiver.port}"
    rules = (GrantRule(host, {"Authorization": BEARER}),)
    return Outside(receiver, rules, {"books": GrantCredential(VALUE, (host,))})
