"""Controls that are broken on purpose, one for each attack, so that the attack can be seen to succeed.

No setting turns any of these on. They are changes to a process that was forked for one run, over an instance that this
process builds in an empty scratch directory: without a permit for such a directory nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType

import psycopg
from psycopg import sql

from heldtrue.attack.arena import Arena
from heldtrue.claims.broken import changes
from heldtrue.claims.broken.permit import PREFIX, Before, Broken, NotScratchError, Permit, Within, permit, replaced

__all__ = ["CONTROLS", "PREFIX", "Broken", "NotScratchError", "Permit", "permit", "replaced"]


def _changing(*places: tuple[str, object]) -> Before:
    return lambda given: replaced(given, *places)


def _making(make: Callable[[], changes.Changes]) -> Before:
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
    Broken(name="listener-of-2006", what="A listener takes TLS 1.0.", within=changes.old_listener),
    Broken(
        name="listener-that-nobody-declared",
        what="A process listens on a port that the instance does not declare.",
        within=changes.undeclared_listener,
    ),
    Broken(
        name="answers-for-everybody",
        what="Answers may be kept by any cache.",
        before=_changing(("heldtrue.http.headers:protective", changes.public_answers)),
    ),
    Broken(name="database-on-tcp", what="The database listens on 127.0.0.1.", before=_making(changes.database_on_tcp)),
    Broken(
        name="any-dsn",
        what="A database elsewhere is reached without verification.",
        before=_changing(("heldtrue.db.dsn:_demand_verification", changes.does_nothing)),
    ),
    Broken(name="one-key-for-all", what="All organisations have the same key.", before=_making(changes.one_key)),
    Broken(
        name="environment-not-bound",
        what="What is sealed is not bound to its environment.",
        before=_making(changes.no_environment),
    ),
    Broken(
        name="any-key-file",
        what="A key file is taken whoever can read it.",
        before=_changing(("heldtrue.crypto.platform:_judge", changes.does_nothing)),
    ),
    Broken(name="sealing-off", what="Values are stored as they are.", before=_making(changes.no_sealing)),
    Broken(
        name="erasure-keeps-the-key",
        what="Erasing a payload leaves its key.",
        before=_changing(("heldtrue.crypto.keyring:TenantKeyring.destroy", changes.does_nothing)),
    ),
    Broken(
        name="verifier-that-nods",
        what="The verifier looks neither at the signature nor at the log.",
        before=_changing(
            ("heldtrue_verify.receipt:verify_proof", changes.does_nothing),
            ("heldtrue_verify.tlog_proof:TlogProof.require", changes.does_nothing),
        ),
    ),
    Broken(
        name="dialer-without-verification", what="No certificate is verified.", before=_making(changes.no_verification)
    ),
    Broken(name="dialer-without-judgement", what="Every address is dialled.", before=_making(changes.no_judgement)),
    Broken(
        name="helper-without-time",
        what="The helper does not look at a message's time.",
        before=_changing(("heldtrue_verify.webhook:Message.require_time", changes.does_nothing)),
    ),
    Broken(
        name="failures-count-as-delivered",
        what="Whatever a receiver answers counts as delivered.",
        before=_changing(("heldtrue.capabilities.deliveries.dialer:Response.delivered", changes.always)),
    ),
    Broken(name="everybody-is-somebody", what="Any credential is taken.", before=_making(changes.everybody)),
    Broken(name="feed-without-revocations", what="Revoked keys stay known as live.", before=_making(changes.deaf_feed)),
    Broken(name="token-in-the-log", what="Credentials are written to the log.", before=_making(changes.telling_log)),
    Broken(
        name="every-role-may",
        what="Permissions are not looked at.",
        before=_changing(("heldtrue.http.gate:decide", changes.does_nothing)),
    ),
    Broken(
        name="session-signature-unread",
        what="The signature of a session token is not looked at.",
        before=_changing(("heldtrue.crypto.jws:verify", changes.says_yes)),
    ),
    Broken(name="limits-off", what="Nobody is limited.", before=_making(changes.no_limits)),
    Broken(
        name="row-security-off",
        what="The tables have no row-level security.",
        within=_as_superuser(_FOR_EACH_TABLE.format("ALTER TABLE %s DISABLE ROW LEVEL SECURITY")),
    ),
    Broken(name="recorder-that-forgets", what="Some calls leave no entry.", before=_making(changes.forgetting)),
    Broken(
        name="log-unguarded",
        what="The log's tables have no triggers, and every role may do everything to them.",
        within=_as_superuser(
            _DROP_TRIGGERS,
            _FOR_EACH_TABLE.format("GRANT ALL ON %s TO heldtrue_tenant, heldtrue_edge, heldtrue_system"),
        ),
    ),
    Broken(name="mail-in-clear", what="Mail is taken in clear.", before=_making(changes.mail_in_clear)),
    Broken(
        name="sandbox-used-twice",
        what="A run's environment serves the next run too.",
        before=_making(changes.sandbox_used_twice),
    ),
    Broken(
        name="sandbox-with-sockets",
        what="A run is in the host's network, and may make sockets.",
        before=_making(changes.sandbox_with_sockets),
    ),
    Broken(
        name="notice-of-no-time",
        what="A notice has run when it begins.",
        before=_changing(("heldtrue.capabilities.registers.subprocessors:NOTICE", timedelta())),
    ),
    Broken(
        name="calls-not-compared",
        what="Nobody compares the hosts that were called with the list.",
        before=_changing(("heldtrue.capabilities.registers.calls:unlisted", changes.finds_nothing)),
    ),
    Broken(
        name="gate-without-question",
        what="The gate to optional vendors does not ask what an organisation chose.",
        before=_changing(("heldtrue.capabilities.registers.vendors:_permitted", changes.says_yes)),
    ),
    Broken(
        name="status-on-demand",
        what="Any status is recorded, whatever it rests on.",
        before=_changing(("heldtrue.capabilities.registers.certifications:_demand", changes.does_nothing)),
    ),
    Broken(
        name="policies-for-ever",
        what="A policy stays current without a review.",
        before=_changing(("heldtrue.capabilities.registers.policies:is_current", changes.says_yes)),
    ),
    Broken(
        name="vendors-for-ever",
        what="A vendor's certification never expires.",
        before=_changing(("heldtrue.capabilities.registers.assurance:current", changes.says_yes)),
    ),
    Broken(
        name="findings-without-end",
        what="No finding is ever overdue.",
        before=_changing(("heldtrue.capabilities.registers.assurance:overdue", changes.finds_nothing)),
    ),
    Broken(
        name="cosignatures-unread",
        what="Whatever a witness is said to have cosigned counts.",
        before=_changing(("heldtrue.capabilities.ledger.witness:covers", changes.says_yes)),
    ),
    Broken(
        name="threats-unread",
        what="Nobody compares threats with claims.",
        before=_changing(("heldtrue.capabilities.registers.threats:faults", changes.finds_nothing)),
    ),
    Broken(
        name="answers-without-evidence",
        what="Every question is answered as if all of its evidence held.",
        before=_making(changes.answers_plainly),
    ),
    Broken(
        name="annex-of-its-own",
        what="The annex is not made from the register.",
        before=_changing(("heldtrue.capabilities.agreements.annexes:sub_processors", changes.finds_nothing)),
    ),
    Broken(
        name="texts-without-days",
        what="A legal text is published whatever its dates are.",
        before=_changing(("heldtrue.capabilities.agreements.legal:_demand", changes.does_nothing)),
    ),
    Broken(
        name="clock-that-forgives",
        what="A report that waits beyond its time is not counted.",
        before=_changing(("heldtrue.capabilities.disclosure.model:Report.overdue", changes.says_no)),
    ),
    Broken(
        name="bands-off",
        what="A reward is recorded whatever its amount.",
        before=_changing(("heldtrue.capabilities.disclosure.rewards:judge_award", changes.does_nothing)),
    ),
    Broken(
        name="gate-always-open",
        what="The gate lets everything through.",
        before=_making(changes.open_gate),
    ),
    Broken(
        name="entries-altered-on-the-way",
        what="Entries are shown otherwise than logged.",
        before=_making(changes.altering),
    ),
    Broken(
        name="grants-without-end",
        what="A grant is in force for ever, also once it was revoked.",
        before=_changing(("heldtrue.capabilities.room.model:Grant.judge", changes.does_nothing)),
    ),
)
CONTROLS: Mapping[str, Broken] = MappingProxyType({control.name: control for control in _ALL})
"""Every broken control by its name."""
