"""The tables `[[witness]]`: who cosigns the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from heldtrue.capabilities.ledger.witness import Witness
from heldtrue.kernel.errors import SettingsError

MOST = 16


class WitnessSetting(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One witness: where it takes checkpoints, and the key that it cosigns with."""

    url: str
    """Its submission prefix, as `https://witness.example.com`; `/add-checkpoint` is appended (C2SP tlog-witness)."""
    vkey: str
    """Its verifier key, `name+hex8+base64`, of type 0x04 (C2SP tlog-cosignature)."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise SettingsError(
                f"witness.url = {self.url!r} is not an https URL", advice='Write it as "https://witness.example.com".'
            )
        Witness.parse(self.url, self.vkey)


def witnesses(settings: Sequence[WitnessSetting]) -> tuple[Witness, ...]:
    """Return the witnesses; raise `SettingsError` where one stands twice."""
    found = tuple(Witness.parse(each.url, each.vkey) for each in settings)
    twice = [vkey for vkey, count in Counter(each.vkey for each in found).items() if count > 1]
    if twice:
        raise SettingsError(f"witness: {twice[0]} stands twice", advice="Name each witness once.")
    if len(found) > MOST:
        raise SettingsError(f"there are {len(found)} witnesses", advice=f"Name {MOST} at most.")
    return found
