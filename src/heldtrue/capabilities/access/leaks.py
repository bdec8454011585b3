"""Reports of leaked keys, in the manner of secret-scanning partner programmes (docs/spec/leak-reports.md)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.access import store
from heldtrue.capabilities.access.store import Holder
from heldtrue.crypto import tokens
from heldtrue.crypto.canonical import parse_strict
from heldtrue.crypto.ecdsa import P256Key
from heldtrue.http.exchange import Page, Signed
from heldtrue.http.route import Realm, Route
from heldtrue.http.transaction import Recorder, tenant_operation
from heldtrue.kernel.errors import BadInputError, DeniedError, UnauthenticatedError
from heldtrue.kernel.ids import KeyId, TenantId
from heldtrue.op import Actor, AuditEvent

Policy = Literal["revoke", "notify"]
Label = Literal["true_positive", "false_positive"]
KEY_ID, SIGNATURE = "github-public-key-identifier", "github-public-key-signature"
MOST_TOKENS = 1000
LONGEST_TEXT = 2048

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


class UnverifiedReportError(DeniedError):
    """No reporter that the operator named signed these bytes; sign the body as it is sent, with the key it knows."""

    code = "unverified-report"


class MalformedReportError(BadInputError):
    """A report is a JSON array of 1 to 1,000 objects with `token` and `type`; send it so, in parts if need be."""

    code = "malformed-report"


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was found where everybody can read it. Members that are not named here are ignored."""

    token: Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]
    type: Annotated[str, msgspec.Meta(max_length=200)]
    url: Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)] = ""
    source: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a reported text."""

    token_hash: str
    """SHA-256 of the text, in base64."""
    token_type: str
    label: Label
    """`true_positive`: it is a key of ours, whatever its state."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Somebody whose reports are believed."""

    name: str
    key_id: str
    public: P256Key
    policy: Policy


@dataclass(frozen=True, slots=True)
class _Find:
    """A key of ours that was found, and where."""

    key: KeyId
    url: str


def routes(reporters: Sequence[Reporter]) -> list[Route]:
    """Return the route that reports come in by; without a reporter every report is refused."""
    return [
        Route(
            at="POST /v1/leaks", action=partial(take_report, {one.key_id: one for one in reporters}), signed=True,
            takes=list[Reported], gives=list[Judged], realm=Realm.PUBLIC, audits="key.leaked", tags=("keys",),
            summary="Report leaked keys, as a reporter that the operator named; the body is signed",
        )
    ]  # fmt: skip


def take_report(reporters: Mapping[str, Reporter], asked: Signed) -> Page:
    """Judge who reports, then each text: a key of ours is revoked or its owner told, by the reporter's policy.

    The same report again changes nothing and is answered alike. No text of a report is logged or kept.
    """
    reporter = _signer(reporters, asked)
    found = _read(asked.body)
    digests = [tokens.digest(one.token) for one in found]
    with asked.ports.database.edge() as tx:
        holders = {holder.digest: holder for holder in store.holders(tx, sorted({*filter(None, map(_digest, found))}))}
    _settle(asked, reporter, found, digests, holders)
    judged = [
        Judged(
            token_hash=base64.b64encode(digest).decode("ascii"),
            token_type=one.type,
            label="true_positive" if digest in holders else "false_positive",
        )
        for one, digest in zip(found, digests, strict=True)
    ]
    return Page(content=msgspec.json.encode(judged), content_type="application/json")


def _signer(reporters: Mapping[str, Reporter], asked: Signed) -> Reporter:
    """Return who signed the bytes of the body; the answer to a stranger and to a wrong signature is the same."""
    reporter = reporters.get(asked.headers.get(KEY_ID, ""))
    try:
        signature = base64.b64decode(asked.headers.get(SIGNATURE, ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnverifiedReportError from error
    if reporter is None or not reporter.public.verifies(signature, asked.body):
        raise UnverifiedReportError
    return reporter


def _read(body: bytes) -> list[Reported]:
    try:
        found = msgspec.convert(parse_strict(body), list[Reported])
    except msgspec.ValidationError as error:
        raise MalformedReportError(f"The report cannot be read: {error}") from error
    if not 0 < len(found) <= MOST_TOKENS:
        raise MalformedReportError
    return found


def _digest(one: Reported) -> bytes | None:
    """Return the digest of a text that can be a key of ours; None for any other, which needs no look-up."""
    try:
        tokens.parse(one.token)
    except UnauthenticatedError:
        return None
    return tokens.digest(one.token)


def _settle(
    asked: Signed,
    reporter: Reporter,
    found: Sequence[Reported],
    digests: Sequence[bytes],
    holders: Mapping[bytes, Holder],
) -> None:
    """Act on every key of ours, a transaction an environment, keys in order: two reports never wait in a ring."""
    by_place: dict[tuple[TenantId, str], dict[KeyId, _Find]] = {}
    for one, digest in zip(found, digests, strict=True):
        holder = holders.get(digest)
        if holder is not None:
            place = by_place.setdefault((TenantId(holder.tenant_id), holder.environment), {})
            key = KeyId(holder.key_id)
            place.setdefault(key, _Find(key, _UNPRINTABLE.sub("?", one.url)))
    for (tenant, environment), finds in sorted(by_place.items()):
        actor = Actor(kind="reporter", tenant=tenant, environment=environment)
        with tenant_operation(asked.ports, actor, asked.request) as op:
            record = Recorder(asked.ports, op.tx, actor, asked.request, op.now, op.keys)
            for key in sorted(finds):
                row = store.get_locked(op.tx, tenant, environment, key)
                if row is None:
                    continue
                before = row.key()
                after = before.leaked(op.now, revoke=reporter.policy == "revoke")
                if after != before:
                    store.update(op.tx, after)
                    detail = {
                        "reporter": reporter.name, "url": finds[key].url, "type": after.type,
                        "revoked": after.state == "revoked" and before.state != "revoked", "state": after.state,
                    }  # fmt: skip
                    record(AuditEvent(event="key.leaked", subject=str(key), detail=detail))
