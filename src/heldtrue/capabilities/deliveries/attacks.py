"""Attacks on what leaves: unverified hops, addresses of our own network, forged webhooks."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import DefaultResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from heldtrue.attack import Attack, AttackHinderedError, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.attack.receiver import BODY, OK, Receiver
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.capabilities.deliveries.dialer import Dialer, Response
from heldtrue.capabilities.deliveries.model import check_url
from heldtrue.capabilities.deliveries.signatures import Secrets
from heldtrue.crypto.tls import ensure_local_authority
from heldtrue.kernel.errors import HeldtrueError
from heldtrue_verify import webhook as helper

BRIEF = timedelta(seconds=3)


def unverified_hop(arena: Arena) -> Finding:
    """Dial receivers whose certificate does not hold, or that have none; none may be given a body."""
    with tempfile.TemporaryDirectory() as made:
        now = arena.clock.now()
        ours = ensure_local_authority(Path(made) / "ours", now)
        other = ensure_local_authority(Path(made) / "other", now)
        sound = Receiver(_serving(ours.cert, ours.key))
        bad = {
            "a certificate of an unknown authority": (Receiver(_serving(other.cert, other.key)), "https"),
            "a certificate for another name": (Receiver(_serving(ours.cert, ours.key), host="127.0.0.2"), "https"),
            "no TLS at all, behind an https address": (Receiver(None), "https"),
            "no TLS at all, behind an http address": (Receiver(None), "http"),
        }
        faults: list[str] = []
        with sound.serving():
            response = _post(f"https://127.0.0.1:{sound.port}/", ours.ca)
            if not response.delivered or not sound.bodies:
                raise AttackHinderedError(f"a sound receiver was not reached: {response.failure}")
        for what, (receiver, scheme) in bad.items():
            with receiver.serving():
                response = _post(f"{scheme}://{receiver.host}:{receiver.port}/", ours.ca)
            if receiver.bodies or response.delivered:
                faults.append(f"A receiver with {what} was given the body.")
        onward = Receiver(None)
        with onward.serving():
            location = f"location: http://127.0.0.1:{onward.port}/\r\n".encode()
            turning = Receiver(
                _serving(ours.cert, ours.key),
                reply=OK.replace(b"200 OK", b"307 Go").replace(b"content", location + b"content", 1),
            )
            with turning.serving():
                _post(f"https://127.0.0.1:{turning.port}/", ours.ca)
        if onward.connections:
            faults.append("A redirect to a plain address was followed.")
        for url in (
            "http://receiver.example/",
            "ftp://receiver.example/",
            "//receiver.example/",
            "https:/receiver.example",
        ):
            with suppress(HeldtrueError):
                check_url(url, AllowList())
                faults.append(f"The endpoint {url} was accepted.")
    return judged(
        faults,
        "No receiver without TLS, or with a certificate that does not hold, was given a body.",
        receivers=len(bad) + 2,
        addresses=4,
    )


def _serving(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def _post(url: str, ca_file: Path) -> Response:
    async def send() -> Response:
        async with Dialer(AllowList.parse(["127.0.0.0/8"]), ca_file=ca_file, timeout=BRIEF) as dialer:
            return await dialer.post(url, BODY, {}, datetime.now(UTC))

    return asyncio.run(send())


class _Rebinding(AbstractResolver):
    """A name server that answers with loopback for every name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return 127.0.0.1, or what the host writes when it is an address already."""
        del family
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Close nothing."""


def inward(arena: Arena) -> Finding:
    """Aim the dialer, as it is with nothing allowed, at our own network in every notation."""
    trap, trap6 = Receiver(None), Receiver(None, host="::1")
    with trap.serving(), _maybe(trap6) as six:
        loopback = [
            f"https://127.0.0.1:{trap.port}/", f"https://localhost:{trap.port}/", f"https://2130706433:{trap.port}/",
            f"https://0x7f.1:{trap.port}/", f"https://0177.0.0.1:{trap.port}/", f"https://127.1:{trap.port}/",
            f"https://0:{trap.port}/", f"https://[::ffff:127.0.0.1]:{trap.port}/", f"https://[::ffff:7f00:1]:{trap.port}/",
            f"https://rebinding.example:{trap.port}/", f"http://127.0.0.1:{trap.port}/",
        ]  # fmt: skip
        loopback += [f"https://[::1]:{trap6.port}/"] if six else []
        inner = [
            "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.0.1/", "https://169.254.169.254/",
            "https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://168.63.129.16/", "https://[fe80::1]/",
            "https://[fc00::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::127.0.0.1]/",
            "https://100.64.0.1/", "https://224.0.0.1/", "https://255.255.255.255/",
        ]  # fmt: skip
        faults: list[str] = []
        for url in loopback:
            before = trap.connections + trap6.connections
            response = asyncio.run(_aim(url, "rebinding" in url, arena))
            if trap.connections + trap6.connections > before:
                faults.append(f"A delivery to {url} reached our own machine.")
                break
            if response.delivered:
                faults.append(f"A delivery to {url} was counted as delivered.")
        for url in inner if not faults else ():
            response = asyncio.run(_aim(url, rebinding=False, arena=arena))
            if response.failure != "refused-address":
                faults.append(
                    f"A delivery to {url} was not refused but ended with {response.failure or response.status}."
                )
    return judged(
        faults,
        "Every notation of every address of our own network was refused before anything was connected to.",
        addresses=len(loopback) + len(inner),
    )


async def _aim(url: str, rebinding: bool, arena: Arena) -> Response:
    resolver = _Rebinding() if rebinding else DefaultResolver()
    async with Dialer(AllowList(), timeout=BRIEF, resolver=resolver) as dialer:
        return await dialer.post(url, BODY, {}, arena.clock.now())


@contextmanager
def _maybe(receiver: Receiver) -> Generator[bool]:
    """Serve on IPv6 where the machine has it; say whether it does."""
    try:
        with socket.create_server((receiver.host, 0), family=socket.AF_INET6):
            has = True
    except OSError:
        has = False
    if not has:
        yield False
        return
    with receiver.serving():
        yield True


def forged_webhook(arena: Arena) -> Finding:
    """Sign a webhook as deliveries are signed, then alter, age and swap it; the helper must refuse each."""
    now = arena.clock.now()
    stamp = int(now.timestamp())
    secrets = Secrets.generate(arena.entropy)
    rolled = secrets.rolled(arena.entropy, now, timedelta(hours=1))
    sent = secrets.headers("del_probe", now, BODY)
    shared, public = secrets.shown.reveal(), secrets.public_key
    strange = Secrets.generate(arena.entropy)
    faults: list[str] = []
    good: dict[str, tuple[Mapping[str, str], list[str]]] = {
        "a genuine one, by its secret": (sent, [shared]),
        "a genuine one, by its public key": (sent, [public]),
        "one signed with the new secret during rotation": (
            rolled.headers("del_probe", now, BODY),
            [rolled.shown.reveal()],
        ),
        "one signed with the old secret during rotation": (rolled.headers("del_probe", now, BODY), [shared]),
    }
    for what, (headers, keys) in good.items():
        if not _accepts(headers, BODY, keys, stamp):
            faults.append(f"The helper refused {what}.")
    swapped = strange.headers("del_probe", now, BODY)
    later = now + timedelta(hours=2)
    forged: dict[str, tuple[Mapping[str, str], bytes, list[str], int]] = {}
    for kind, key in (("secret", shared), ("public key", public)):
        forged |= {
            f"another body, by the {kind}": (sent, BODY.replace(b"1200", b"9200"), [key], stamp),
            f"another id, by the {kind}": ({**sent, "webhook-id": "del_other"}, BODY, [key], stamp),
            f"another time, by the {kind}": ({**sent, "webhook-timestamp": str(stamp + 1)}, BODY, [key], stamp),
            f"one sent again after six minutes, by the {kind}": (sent, BODY, [key], stamp + 360),
            f"one from the future, by the {kind}": (sent, BODY, [key], stamp - 360),
            f"a stranger's, by the {kind}": (swapped, BODY, [key], stamp),
            f"one without a signature, by the {kind}": ({**sent, "webhook-signature": ""}, BODY, [key], stamp),
            f"the old key's after rotation, by the {kind}": (
                rolled.headers("del_probe", later, BODY), BODY, [key], int(later.timestamp())),
        }  # fmt: skip
    for what, (headers, body, keys, at) in forged.items():
        if _accepts(headers, body, keys, at):
            faults.append(f"The helper accepted {what}.")
    return judged(
        faults,
        f"The helper accepted {len(good)} genuine messages and refused {len(forged)} forged or late ones.",
        genuine=len(good),
        forged=len(forged),
    )


def _accepts(headers: Mapping[str, str], body: bytes, keys: list[str], at: int) -> bool:
    try:
        helper.verify(headers, body, keys, now=float(at))
    except helper.WebhookRefusedError:
        return False
    return True


ATTACKS = (
    Attack(
        name="deliveries.unverified_hop",
        place=Place.OBSERVE,
        tries=(
            "Set up receivers with a strange certificate, with another name's, without TLS, and a redirecting one.",
            "Dial each as deliveries are dialled.",
            "None may be given the body; a sound one must be.",
        ),
        run=unverified_hop,
        breaks="dialer-without-verification",
        needs=("heldtrue.attack.receiver",),
    ),
    Attack(
        name="deliveries.inward",
        place=Place.OBSERVE,
        tries=(
            "Set a trap on this machine's own loopback addresses.",
            "Aim deliveries at it in every notation and by name, and at private, link-local and metadata addresses.",
            "Nothing may be connected to.",
        ),
        run=inward,
        breaks="dialer-without-judgement",
        needs=("heldtrue.attack.receiver",),
        limit=timedelta(seconds=120),
    ),
    Attack(
        name="deliveries.forged_webhook",
        place=Place.OBSERVE,
        tries=(
            "Sign a message as deliveries are signed, by shared secret and by key pair.",
            "Change body, id and time, send it again after six minutes, date it ahead, sign it with a wrong key.",
            "The published helper must refuse each, and accept genuine ones, during a rotation too.",
        ),
        run=forged_webhook,
        breaks="helper-without-time",
        needs=("heldtrue_verify.webhook",),
    ),
)
