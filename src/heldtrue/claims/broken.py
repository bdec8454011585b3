"""Controls that are broken on purpose, one for each attack, so that the attack can be seen to succeed.

No setting turns any of these on. They are changes to a process that was forked for one run, over an instance that this
process builds in an empty scratch directory: without a permit for such a directory nothing is changed.
"""

from __future__ import annotations

import importlib
import os
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import sql

from heldtrue.attack import AttackHinderedError
from heldtrue.attack.arena import Arena
from heldtrue.attack.caller import Address
from heldtrue.kernel.errors import DeniedError

PREFIX = "heldtrue-scratch-"


class NotScratchError(DeniedError):
    """A control is broken in the process of a scratch run only; this is none."""

    code = "not-scratch"


@dataclass(frozen=True, slots=True)
class Permit:
    """Says that this process works on a scratch directory; it holds in no other process."""

    directory: Path
    process: int

    def check(self) -> None:
        """Raise unless it was given to this very process."""
        if self.process != os.getpid():
            raise NotScratchError


def permit(directory: Path) -> Permit:
    """Return a permit for the scratch *directory*; raise `NotScratchError` for any other."""
    if not directory.name.startswith(PREFIX) or (directory / "instance.json").exists():
        raise NotScratchError
    return Permit(directory, os.getpid())


Before = Callable[[Permit], AbstractContextManager[None]]
Within = Callable[[Permit, Arena], AbstractContextManager[Arena]]


def _nothing_before(_permit: Permit) -> AbstractContextManager[None]:
    return nullcontext()


def _nothing_within(_permit: Permit, arena: Arena) -> AbstractContextManager[Arena]:
    return nullcontext(arena)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One broken control."""

    name: str
    what: str
    """What is wrong with it, in one sentence."""
    before: Before = _nothing_before
    """Applied before the scratch instance is built, and inherited by its processes."""
    within: Within = _nothing_within
    """Applied to the scratch instance once it runs."""


@contextmanager
def replaced(given: Permit, *changes: tuple[str, object]) -> Generator[None]:
    """Put other values in the places `module:name` or `module:Class.name`, and the old ones back at the end."""
    given.check()
    with ExitStack() as stack:
        for place, value in changes:
            module, _, path = place.partition(":")
            *holders, name = path.split(".")
            holder: Any = importlib.import_module(module)
            for part in holders:
                holder = getattr(holder, part)
            if not hasattr(holder, name):
                raise AttackHinderedError(f"there is no {place} to break")
            old = holder.__dict__[name]
            setattr(holder, name, value)
            stack.callback(setattr, holder, name, old)
        yield


def _changing(*changes: tuple[str, object]) -> Before:
    return lambda given: replaced(given, *changes)


def _making(make: Callable[[], list[tuple[str, object]]]) -> Before:
    """Make the changes in the scratch process, where what they need is imported already."""
    return lambda given: replaced(given, *make())


def _as_superuser(*statements: str) -> Within:
    @contextmanager
    def within(given: Permit, arena: Arena) -> Generator[Arena]:
        given.check()
        with psycopg.connect(arena.needs_sinks().superuser.reveal(), autocommit=True) as admin:
            for statement in statements:
                admin.execute(sql.SQL(statement))  # pyright: ignore[reportArgumentType] - constants of this module
        yield arena

    return within


@contextmanager
def _old_listener(given: Permit, arena: Arena) -> Generator[Arena]:
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


def _public_answers(_type: str, _cache: object) -> list[tuple[str, str]]:
    return [("cache-control", "public, max-age=60")]


def _database_on_tcp() -> list[tuple[str, object]]:
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


def _one_key() -> list[tuple[str, object]]:
    from heldtrue.crypto import keyring
    from heldtrue.crypto.sealing import DataKey
    from heldtrue.kernel.secret import Secret

    def make(self: Any, purpose: str) -> Any:
        key = DataKey(DataKey.generate(self._entropy, self._now).id, Secret(b"\x07" * 32))
        wrapped = self._platform.wrap(key.material.reveal())
        row = keyring.TenantKeyRow(self._tenant, key.id.value, purpose, keyring.KeyState.ACTIVE, wrapped, self._now)
        return self._records.add_tenant_key(row)

    return [("heldtrue.crypto.keyring:TenantKeyring._make", make)]


def _no_environment() -> list[tuple[str, object]]:
    from heldtrue.crypto.sealing import Context

    def context_for(self: Any, table: str, column: str, row: str, purpose: str, version: int = 1) -> Context:
        return Context("", self._tenant, table, column, row, purpose, version)

    return [("heldtrue.crypto.keyring:TenantKeyring.context_for", context_for)]


def _no_sealing() -> list[tuple[str, object]]:
    from heldtrue.crypto import keyring

    genuine: Any = keyring.seal
    header = 4 + 16 + 4

    def seal(key: Any, context: Any, plaintext: bytes) -> bytes:
        return genuine(key, context, b"")[:header] + plaintext

    def open_sealed(_key: Any, _context: Any, sealed: bytes) -> bytes:
        return sealed[header:]

    return [("heldtrue.crypto.keyring:seal", seal), ("heldtrue.crypto.keyring:open_sealed", open_sealed)]


def _no_verification() -> list[tuple[str, object]]:
    def context(*_given: object) -> ssl.SSLContext:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return trusting

    return [("heldtrue.capabilities.deliveries.dialer:_context", context)]


def _no_judgement() -> list[tuple[str, object]]:
    from heldtrue.capabilities.deliveries.addresses import Verdict

    def judge(_address: object, _allow: object) -> Verdict:
        return Verdict(permitted=True, listed=False, reason="")

    return [("heldtrue.capabilities.deliveries.dialer:judge", judge)]


def _everybody() -> list[tuple[str, object]]:
    from heldtrue.capabilities.access import actions
    from heldtrue.kernel.errors import UnauthenticatedError
    from heldtrue.kernel.ids import KeyId, TenantId
    from heldtrue.op import Actor
    from heldtrue.policy.permissions import GRANTS, Role

    genuine = actions.authenticate

    def authenticate(database: Any, now: Any, token: str) -> Actor:
        try:
            return genuine(database, now, token)
        except UnauthenticatedError:
            return Actor(
                kind="key",
                tenant=TenantId.new(now, os.urandom),
                environment="probe",
                key=KeyId.new(now, os.urandom),
                role=Role.ADMIN,
                permissions=GRANTS[Role.ADMIN],
            )

    return [("heldtrue.capabilities.access.actions:authenticate", authenticate)]


def _telling_log() -> list[tuple[str, object]]:
    from heldtrue.capabilities.access import actions

    genuine = actions.authenticate

    def authenticate(database: Any, now: Any, token: str) -> Any:
        print(f"request with {token}", file=sys.stderr, flush=True)
        return genuine(database, now, token)

    return [("heldtrue.capabilities.access.actions:authenticate", authenticate)]


def _no_limits() -> list[tuple[str, object]]:
    from heldtrue.http.limits import Gcra, Standing

    def take(self: Gcra, _bucket: str) -> Standing:
        return Standing(self.name, self.rate, admitted=True, remaining=self.rate.burst, reset=0)

    return [("heldtrue.http.limits:Gcra.take", take), ("heldtrue.http.limits:Gcra.look", take)]


def _forgetting() -> list[tuple[str, object]]:
    from heldtrue.capabilities.ledger import actions
    from heldtrue.kernel.ids import LeafId

    genuine = actions.append_audit

    def append_audit(*given: Any) -> LeafId:
        *_, now, entropy, event = given
        return LeafId.new(now, entropy) if event.event.endswith(".listed") else genuine(*given)

    return [("heldtrue.capabilities.ledger.actions:append_audit", append_audit)]


def _altering() -> list[tuple[str, object]]:
    from heldtrue.capabilities.ledger.tiles import TileDirectory

    genuine = TileDirectory.read

    def read(self: TileDirectory, tile: Any) -> bytes:
        found = genuine(self, tile)
        return found[:-2] + bytes([found[-2] ^ 1]) + found[-1:] if tile.level < 0 else found

    return [("heldtrue.capabilities.ledger.tiles:TileDirectory.read", read)]


def _does_nothing(*_given: object, **_named: object) -> None:
    return None


_FOR_EACH_TABLE = """DO $$ DECLARE t regclass; BEGIN
FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('heldtrue', 'keystore') AND c.relkind = 'r' LOOP
  EXECUTE format('{}', t);
END LOOP; END $$"""
_DROP_TRIGGERS = """DO $$ DECLARE t record; BEGIN
FOR t IN SELECT tgrelid::regclass AS home, tgname FROM pg_trigger WHERE NOT tgisinternal LOOP
  EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.home);
END LOOP; END $$"""

_ALL = (
    Broken(name="listener-of-2006", what="A listener takes TLS 1.0.", within=_old_listener),
    Broken(
        name="answers-for-everybody",
        what="Answers may be kept by any cache.",
        before=_changing(("heldtrue.http.headers:protective", _public_answers)),
    ),
    Broken(name="database-on-tcp", what="The database listens on 127.0.0.1.", before=_making(_database_on_tcp)),
    Broken(
        name="any-dsn",
        what="A database elsewhere is reached without verification.",
        before=_changing(("heldtrue.db.dsn:_demand_verification", _does_nothing)),
    ),
    Broken(name="one-key-for-all", what="All organisations have the same key.", before=_making(_one_key)),
    Broken(
        name="environment-not-bound",
        what="What is sealed is not bound to its environment.",
        before=_making(_no_environment),
    ),
    Broken(
        name="any-key-file",
        what="A key file is taken whoever can read it.",
        before=_changing(("heldtrue.crypto.platform:_judge", _does_nothing)),
    ),
    Broken(name="sealing-off", what="Values are stored as they are.", before=_making(_no_sealing)),
    Broken(
        name="erasure-keeps-the-key",
        what="Erasing a payload leaves its key.",
        before=_changing(("heldtrue.crypto.keyring:TenantKeyring.destroy", _does_nothing)),
    ),
    Broken(
        name="verifier-that-nods",
        what="The verifier looks neither at the signature nor at the log.",
        before=_changing(
            ("heldtrue_verify.receipt:verify_proof", _does_nothing),
            ("heldtrue_verify.tlog_proof:TlogProof.require", _does_nothing),
        ),
    ),
    Broken(name="dialer-without-verification", what="No certificate is verified.", before=_making(_no_verification)),
    Broken(name="dialer-without-judgement", what="Every address is dialled.", before=_making(_no_judgement)),
    Broken(
        name="helper-without-time",
        what="The helper does not look at a message's time.",
        before=_changing(("heldtrue_verify.webhook:Message.require_time", _does_nothing)),
    ),
    Broken(name="everybody-is-somebody", what="Any credential is taken.", before=_making(_everybody)),
    Broken(name="token-in-the-log", what="Credentials are written to the log.", before=_making(_telling_log)),
    Broken(
        name="every-role-may",
        what="Permissions are not looked at.",
        before=_changing(("heldtrue.http.gate:decide", _does_nothing)),
    ),
    Broken(name="limits-off", what="Nobody is limited.", before=_making(_no_limits)),
    Broken(
        name="row-security-off",
        what="The tables have no row-level security.",
        within=_as_superuser(_FOR_EACH_TABLE.format("ALTER TABLE %s DISABLE ROW LEVEL SECURITY")),
    ),
    Broken(name="recorder-that-forgets", what="Some calls leave no entry.", before=_making(_forgetting)),
    Broken(
        name="log-unguarded",
        what="The log's tables have no triggers, and every role may do everything to them.",
        within=_as_superuser(
            _DROP_TRIGGERS,
            _FOR_EACH_TABLE.format("GRANT ALL ON %s TO heldtrue_tenant, heldtrue_edge, heldtrue_system"),
        ),
    ),
    Broken(
        name="entries-altered-on-the-way", what="Entries are shown otherwise than logged.", before=_making(_altering)
    ),
)
CONTROLS: Mapping[str, Broken] = MappingProxyType({control.name: control for control in _ALL})
"""Every broken control by its name."""
