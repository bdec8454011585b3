"""What is changed for each broken control, made in the scratch process where everything is imported already."""

from __future__ import annotations

import importlib
import os
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Address
from heldtrue.claims.broken.permit import Permit

Changes = list[tuple[str, object]]
"""Places as `replaced` takes them, and what to put there."""


@contextmanager
def old_listener(given: Permit, arena: Arena) -> Generator[Arena]:
    """Open a listener beside the others that takes TLS 1.0."""
    given.check()
    from heldtrue.crypto.tls import ensure_local_authority

    made = ensure_local_authority(Path(tempfile.mkdtemp(dir=given.directory)), arena.clock.now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(made.cert, made.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    link.settimeout(5)
                    with suppress(OSError), link, context.wrap_socket(link, server_side=True) as talk:
                        talk.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        yield replace(arena, listeners=(*arena.listeners, Address("127.0.0.1", port, "localhost")))


@contextmanager
def undeclared_listener(given: Permit, arena: Arena) -> Generator[Arena]:
    """Listen beside the others, at a port that is declared nowhere."""
    given.check()
    with socket.create_server(("127.0.0.1", 0)):
        yield arena


def public_answers(_type: str, _cache: object) -> list[tuple[str, str]]:
    """Return headers that let every cache keep an answer."""
    return [("cache-control", "public, max-age=60")]


def database_on_tcp() -> Changes:
    """Have the database listen on loopback, at a port that is free."""
    from heldtrue.db import embedded

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    return [
        (
            "heldtrue.db.embedded:CONFIGURATION",
            {**embedded.CONFIGURATION, "listen_addresses": "127.0.0.1", "port": port},
        ),
        ("heldtrue.db.embedded:PORT", port),
    ]


def one_key() -> Changes:
    """Give every organisation's keys the same material."""
    from heldtrue.crypto import keyring
    from heldtrue.crypto.sealing import DataKey
    from heldtrue.kernel.secret import Secret

    def make(self: Any, purpose: str) -> Any:
        key = DataKey(DataKey.generate(self._entropy, self._now).id, Secret(b"\x07" * 32))
        wrapped = self._platform.wrap(key.material.reveal())
        row = keyring.TenantKeyRow(self._tenant, key.id.value, purpose, keyring.KeyState.ACTIVE, wrapped, self._now)
        return self._records.add_tenant_key(row)

    return [("heldtrue.crypto.keyring:TenantKeyring._make", make)]


def no_environment() -> Changes:
    """Leave the environment out of what a seal is bound to."""
    from heldtrue.crypto.sealing import Context

    def context_for(self: Any, table: str, column: str, row: str, purpose: str, version: int = 1) -> Context:
        return Context("", self._tenant, table, column, row, purpose, version)

    return [("heldtrue.crypto.keyring:TenantKeyring.context_for", context_for)]


def no_sealing() -> Changes:
    """Store values as they are behind a sound header."""
    from heldtrue.crypto import keyring

    genuine: Any = keyring.seal
    header = 4 + 16 + 4

    def seal(key: Any, context: Any, plaintext: bytes) -> bytes:
        return genuine(key, context, b"")[:header] + plaintext

    def open_sealed(_key: Any, _context: Any, sealed: bytes) -> bytes:
        return sealed[header:]

    return [("heldtrue.crypto.keyring:seal", seal), ("heldtrue.crypto.keyring:open_sealed", open_sealed)]


def no_verification() -> Changes:
    """Verify no certificate."""

    def context(*_given: object) -> ssl.SSLContext:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return trusting

    return [("heldtrue.capabilities.deliveries.connector:_context", context)]


def no_judgement() -> Changes:
    """Permit every address."""
    from heldtrue.capabilities.deliveries.addresses import Verdict

    def judge(_address: object, _allow: object) -> Verdict:
        return Verdict(permitted=True, listed=False, reason="")

    return [("heldtrue.capabilities.deliveries.connector:judge", judge)]


always = property(lambda _self: True)
"""In the place of a property that judges."""


def everybody() -> Changes:
    """Take every credential for an administrator's."""
    from heldtrue.capabilities.edge.decision import Decider
    from heldtrue.capabilities.edge.model import Caller
    from heldtrue.kernel.errors import UnauthenticatedError
    from heldtrue.kernel.ids import KeyId, TenantId
    from heldtrue.policy.permissions import GRANTS, Role

    genuine = Decider.identify

    def identify(self: Decider, token: str, *, origin: str | None = None, address: str = "") -> Caller:
        try:
            return genuine(self, token, origin=origin, address=address)
        except UnauthenticatedError:
            now = datetime.now(UTC)
            key = KeyId.new(now, os.urandom)
            return Caller(
                kind="key",
                type="sk",
                tenant=TenantId.new(now, os.urandom),
                environment="probe",
                key=key,
                role=Role.ADMIN,
                subject=str(key),
                session=None,
                permissions=GRANTS[Role.ADMIN],
                grants=frozenset(),
            )

    return [("heldtrue.capabilities.edge.decision:Decider.identify", identify)]


def telling_log() -> Changes:
    """Write every credential to the log."""
    from heldtrue.capabilities.edge.decision import Decider

    genuine = Decider.identify

    def identify(self: Decider, token: str, **where: Any) -> Any:
        print(f"request with {token}", file=sys.stderr, flush=True)
        return genuine(self, token, **where)

    return [("heldtrue.capabilities.edge.decision:Decider.identify", identify)]


def deaf_feed() -> Changes:
    """Agree with the database without bringing in what changed, but for keys that are new."""
    from heldtrue.capabilities.edge.snapshot import Tables

    genuine = Tables.put_key

    def put_key(self: Tables, row: Any) -> None:
        if row.id not in self.by_id:
            genuine(self, row)

    return [("heldtrue.capabilities.edge.snapshot:Tables.put_key", put_key)]


def no_limits() -> Changes:
    """Admit every request."""
    from heldtrue.http.limits import Gcra, Standing

    def take(self: Gcra, _bucket: str) -> Standing:
        return Standing(self.name, self.rate, admitted=True, remaining=self.rate.burst, reset=0)

    return [("heldtrue.http.limits:Gcra.take", take), ("heldtrue.http.limits:Gcra.look", take)]


def forgetting() -> Changes:
    """Leave no entry of a listing."""
    from heldtrue.capabilities.ledger import actions
    from heldtrue.kernel.ids import LeafId

    genuine = actions.append_audit

    def append_audit(*given: Any) -> LeafId:
        *_, now, entropy, event = given
        return LeafId.new(now, entropy) if event.event.endswith(".listed") else genuine(*given)

    return [("heldtrue.capabilities.ledger.actions:append_audit", append_audit)]


def altering() -> Changes:
    """Change a bit of every bundle of entries that is read."""
    from heldtrue.capabilities.ledger.tiles import TileDirectory

    genuine = TileDirectory.read

    def read(self: TileDirectory, tile: Any) -> bytes:
        found = genuine(self, tile)
        return found[:-2] + bytes([found[-2] ^ 1]) + found[-1:] if tile.level < 0 else found

    return [("heldtrue.capabilities.ledger.tiles:TileDirectory.read", read)]


def answers_plainly() -> Changes:
    """Answer every question as its catalogue says, whatever it rests on."""
    from heldtrue.capabilities.questionnaires.answers import Verdict

    def judge(question: Any, _evidence: object) -> Verdict:
        return Verdict(question.answer)

    return [("heldtrue.capabilities.questionnaires.answers:judge", judge)]


def says_yes(*_given: object, **_named: object) -> bool:
    """Return True at once."""
    return True


def says_no(*_given: object, **_named: object) -> bool:
    """Return False at once."""
    return False


def open_gate() -> Changes:
    """Forget whatever blocks."""
    from heldtrue.capabilities.evidence import gate

    genuine: Any = gate.result

    def result(policy: Any, _blocks: object, *rest: Any) -> Any:
        return genuine(policy, [], *rest)

    return [("heldtrue.capabilities.evidence.gate:result", result)]


def does_nothing(*_given: object, **_named: object) -> None:
    """Return at once."""
    return


def finds_nothing(*_given: object, **_named: object) -> list[object]:
    """Return nothing at once."""
    return []


def mail_in_clear() -> Changes:
    """Take every command before encryption, and a message's beginning too."""
    from heldtrue.capabilities.mail import protocol

    async def begin(self: protocol.StrictSmtp, _: str) -> None:
        await self.say("250 2.1.0 ok")

    commands = {**protocol._COMMANDS, "MAIL": begin}  # pyright: ignore[reportPrivateUsage]
    module = "heldtrue.capabilities.mail.protocol"
    return [(f"{module}:CLEAR", frozenset(commands)), (f"{module}:_COMMANDS", commands)]


def sandbox_used_twice() -> Changes:
    """Let a run's environment serve the next run of the organisation."""
    return _without_layers("single_use")


def sandbox_with_sockets() -> Changes:
    """Leave a run in the host's network, without what refuses it sockets."""
    return _without_layers("net", "landlock_net", "seccomp")


def _without_layers(*names: str) -> Changes:
    """Change the copy of the runner's code that the scratch instance starts: nothing else reads that copy."""
    genuine = importlib.import_module("heldtrue.app.runner").copy

    def copy(place: Path) -> Path:
        tree: Path = genuine(place)
        layers = tree / "heldtrue/sandbox/jail/layers.py"
        text = layers.read_text("utf-8")
        for name in names:
            if f"    {name}: bool = True\n" not in text:
                raise AttackHinderedError(f"there is no layer {name} to break")
            text = text.replace(f"    {name}: bool = True\n", f"    {name}: bool = False\n")
        layers.write_text(text, "utf-8")
        return tree

    return [("heldtrue.app.runner:copy", copy)]
