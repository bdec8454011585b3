"""What the pages of the company's registers are read with."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from heldtrue.capabilities.registers.company import Company
from heldtrue.capabilities.registers.feeds import Channel
from heldtrue.capabilities.registers.subscribers import Office
from heldtrue.crypto.keyring import TenantKeyring
from heldtrue.db.tx import Database, SystemTx
from heldtrue.kernel.clock import Clock
from heldtrue.kernel.ids import Entropy, TenantId

Keys = Callable[[SystemTx, TenantId, str, datetime], TenantKeyring]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyServices:
    """What the pages need; the wiring fills it in."""

    database: Database
    clock: Clock
    entropy: Entropy
    keys: Keys
    company: Company
    origin: str
    url: str

    @contextmanager
    def office(self) -> Generator[Office]:
        """Open a transaction; commit when the block ends."""
        now = self.clock.now()
        with self.database.system() as tx:
            yield Office(
                tx=tx, keys=lambda tenant, environment: self.keys(tx, tenant, environment, now), now=now,
                entropy=self.entropy, url=self.url, company=self.company.name,
            )  # fmt: skip

    @property
    def channel(self) -> Channel:
        """Whose feeds these are."""
        return Channel(company=self.company.name, url=self.url, origin=self.origin)
