"""Everything that credentials are judged by, in memory: keys, organisations, session generations, signing keys.

Readers take no lock. What they find in a table is whole: entries are replaced and not changed, but for an
organisation's state, which all of its keys shall see at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from heldtrue.capabilities.edge.facts import KeyFacts, KeyRow, Organisation, Profile, SigningRow, profile_of
from heldtrue.capabilities.keystore.model import accepts
from heldtrue.kernel.ids import CryptoKeyId, TenantId

NEVER = float("-inf")


boottime = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Return the seconds since the machine started, those asleep included (clock_gettime(2))."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest change that is known; a database without this very row is another one, or has forgotten it."""

    generation: int
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What became of the subjects of some changes, read in one transaction that saw all changes up to *anchor*."""

    anchor: Anchor
    organisations: Mapping[bytes, bool] = field(default_factory=dict[bytes, bool])
    """Whether each is active; one that is gone is not."""
    keys: Mapping[bytes, KeyRow | None] = field(default_factory=dict[bytes, "KeyRow | None"])
    """None: it is gone."""
    sessions: Mapping[tuple[bytes, str], int] = field(default_factory=dict[tuple[bytes, str], int])
    signing: tuple[SigningRow, ...] | None = None
    """All of them; None: they did not change."""


@dataclass(slots=True)
class Tables:
    """One consistent state of everything; filled by one thread before anybody reads it."""

    anchor: Anchor | None = None
    keys: dict[bytes, KeyFacts] = field(default_factory=dict)
    """By digest."""
    by_id: dict[bytes, KeyFacts] = field(default_factory=dict)
    organisations: dict[bytes, Organisation] = field(default_factory=dict)
    sessions: dict[tuple[bytes, str], int] = field(default_factory=dict)
    """The generation of session tokens by organisation and environment; absent: 0."""
    signing: Mapping[str, SigningRow] = field(default_factory=dict)
    """By `kid`; replaced as a whole."""
    profiles: dict[tuple[object, ...], Profile] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The number of the newest change that is in here."""
        return 0 if self.anchor is None else self.anchor.generation

    def put_organisation(self, tenant: bytes, *, active: bool) -> None:
        """Add an organisation, or set its state."""
        known = self.organisations.get(tenant)
        if known is None:
            self.organisations[tenant] = Organisation(TenantId(UUID(bytes=tenant)), active=active)
        else:
            known.active = active

    def put_key(self, row: KeyRow) -> None:
        """Add or replace a key. One of an unknown organisation, or with a role of a later version, is nobody's."""
        organisation, profile = self.organisations.get(row.tenant), self._profile(row)
        known = self.by_id.get(row.id)
        if known is not None and (organisation is None or profile is None or known.digest != row.digest):
            self.drop_key(row.id)
        if organisation is None or profile is None:
            return
        facts = KeyFacts(row.id, row.digest, organisation, profile, row.ends, revoked=not row.active)
        self.by_id[row.id] = facts
        self.keys[row.digest] = facts

    def drop_key(self, id: bytes) -> None:  # noqa: A002 - the name of the thing
        """Forget a key."""
        known = self.by_id.pop(id, None)
        if known is not None and self.keys.get(known.digest) is known:
            del self.keys[known.digest]

    def put(self, batch: Batch) -> None:
        """Bring in what a batch found."""
        for tenant, active in batch.organisations.items():
            self.put_organisation(tenant, active=active)
        for key, row in batch.keys.items():
            if row is None:
                self.drop_key(key)
            else:
                self.put_key(row)
        self.sessions.update(batch.sessions)
        if batch.signing is not None:
            self.put_signing(batch.signing)
        self.anchor = batch.anchor

    def put_signing(self, rows: Iterable[SigningRow]) -> None:
        """Replace the keys that session tokens are signed with."""
        self.signing = {str(CryptoKeyId(row.id)): row for row in rows}

    def _profile(self, row: KeyRow) -> Profile | None:
        raw = (row.environment, row.type, row.role, row.scopes, row.grants, row.origins, row.addresses)
        known = self.profiles.get(raw)
        if known is None:
            known = profile_of(row)
            if known is not None:
                self.profiles[raw] = known
        return known


class Snapshot:
    """The present tables, and the moment at which the database was last known to agree with them.

    What is brought in was read some time ago. It is taken only when it is newer than everything here, so that a
    reading under way cannot undo a revocation that came in meanwhile.
    """

    __slots__ = ("_lock", "agreed_at", "tables")

    def __init__(self) -> None:
        self.tables = Tables()
        self.agreed_at = NEVER
        """By `boottime`, taken before the database was asked."""
        self._lock = threading.Lock()

    def age(self) -> float:
        """Return the seconds since the last agreement; infinite before the first."""
        return boottime() - self.agreed_at

    def agree(self, asked_at: float) -> None:
        """Note that the database, asked at *asked_at*, knew nothing newer."""
        with self._lock:
            self.agreed_at = max(self.agreed_at, asked_at)

    def apply(self, batch: Batch, asked_at: float) -> bool:
        """Bring in *batch*, asked for at *asked_at*; return False, and do nothing, when it is not newer."""
        with self._lock:
            if batch.anchor.generation <= self.tables.generation:
                return False
            self.tables.put(batch)
            self.agreed_at = max(self.agreed_at, asked_at)
            return True

    def replace(self, tables: Tables, asked_at: float, *, since: tuple[Tables, Anchor | None]) -> bool:
        """Put *tables*, asked for at *asked_at*, in the place of all others at once.

        *since* is what `mark` returned before the database was asked. When anything came in after that, nothing is
        done, and False returned: *tables* may be older. The number of their newest change alone tells nothing, because
        a restored database begins again at an earlier one.
        """
        with self._lock:
            if self.tables is not since[0] or self.tables.anchor is not since[1]:
                return False
            self.tables = tables
            self.agreed_at = asked_at
            return True

    def mark(self) -> tuple[Tables, Anchor | None]:
        """Return what `replace` is told later: which tables are here, and how new they are."""
        with self._lock:
            return self.tables, self.tables.anchor

    def public_key(self, kid: str, now: datetime) -> bytes | None:
        """Return the 32 bytes of the session key *kid* when it is accepted at *now*."""
        row = self.tables.signing.get(kid)
        return row.public if row is not None and accepts(row.state, row.accept_until, now) else None
