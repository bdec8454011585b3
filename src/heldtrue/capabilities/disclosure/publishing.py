"""What is published of disclosure, read from the registers: the policy, thanks, advisories, the signed security.txt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from threading import Lock

from heldtrue.capabilities.disclosure import csaf, keys, securitytxt
from heldtrue.capabilities.disclosure.csaf import Published, Publisher
from heldtrue.capabilities.disclosure.kinds import ADVISORIES, POLICY, REWARDS, THANKS, Advisory, Thanks
from heldtrue.capabilities.disclosure.office import Office
from heldtrue.capabilities.disclosure.rewards import THANKS_ONLY, RewardPolicy
from heldtrue.capabilities.registers import actions as registers
from heldtrue.capabilities.registers.model import Entry
from heldtrue.op import SystemOperation


def policy(op: SystemOperation) -> RewardPolicy:
    """Return the reward policy that holds now."""
    found = registers.current(op.tx, REWARDS)
    return next((entry.document for entry in found if entry.item == POLICY), THANKS_ONLY)


def thanks(op: SystemOperation) -> list[Entry[Thanks]]:
    """Return who is thanked, the newest first."""
    return sorted(registers.current(op.tx, THANKS), key=lambda entry: entry.document.on, reverse=True)


def advisories(op: SystemOperation) -> list[Published]:
    """Return every advisory with all its versions, by item."""
    grouped: dict[str, list[Entry[Advisory]]] = {}
    for entry in registers.changes(op.tx, ADVISORIES):
        grouped.setdefault(entry.item, []).append(entry)
    return [grouped[item] for item in sorted(grouped)]


def publisher(office: Office) -> Publisher:
    """Return who publishes advisories."""
    contact = office.mail or f"{office.url}/trust/disclosure"
    return Publisher(name=office.name, namespace=office.url, contact=contact, url=office.url)


def csaf_files(office: Office, op: SystemOperation) -> Mapping[str, tuple[bytes, str]]:
    """Return every file below `/.well-known/csaf/`."""
    key = keys.active(op)
    key_url = f"{office.url}{securitytxt.KEY_PATH}"
    return csaf.files(publisher(office), advisories(op), op.now, key.fingerprint if key else None, key_url)


class SecurityTxt:
    """The file as it is served: made, and signed where the key is here, once a day and once a change."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = Lock()
        self._made: tuple[date, str | None, str] | None = None

    def text(self, op: SystemOperation) -> str:
        """Return the file at this moment."""
        key = keys.active(op)
        stamp = (op.now.date(), key.fingerprint if key else None)
        with self._lock:
            if self._made is None or self._made[:2] != stamp:
                plain = securitytxt.text(self._office, op.now, key=key is not None, advisories=True)
                self._made = (*stamp, keys.signed(op, plain) or plain)
            return self._made[2]
