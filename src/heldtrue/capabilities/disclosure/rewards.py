"""Rewards: bands by severity as data, in cents, and the refusal of any award outside its band. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from heldtrue.capabilities.disclosure.scoring import Severity
from heldtrue.kernel.errors import BadInputError, ConflictError

Cents = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class OutsideBandError(BadInputError):
    """The reward is outside the published band of this severity; award an amount within it."""

    code = "outside-band"


class ThanksOnlyError(ConflictError):
    """When this report came in, only thanks were promised; thank its reporter, or publish a reward table first."""

    code = "thanks-only"


class UnscoredError(ConflictError):
    """A reward follows the severity, and this report has none; triage it with a CVSS vector first."""

    code = "unscored"


class BandsRefusedError(BadInputError):
    """Each band begins at or below its end, and a graver severity never pays less than a lighter one; correct them."""

    code = "bands-refused"


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a severity pays: both ends included."""

    least_cents: Cents
    most_cents: Cents


class Bands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A band for each severity that pays."""

    critical: Band = Band(500_000, 1_000_000)
    high: Band = Band(150_000, 500_000)
    medium: Band = Band(30_000, 150_000)
    low: Band = Band(5_000, 30_000)

    def of(self, severity: Severity) -> Band | None:
        """Return the band of *severity*; None for one that pays nothing."""
        return None if severity is Severity.NONE else getattr(self, severity.value)


class RewardPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised to who reports: money by severity, or thanks only."""

    mode: Literal["rewards", "thanks"] = "thanks"
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$(?!\\n)")] = "USD"
    bands: Bands = Bands()


THANKS_ONLY = RewardPolicy()
"""What holds until a policy is published."""


def judge_policy(policy: RewardPolicy) -> None:
    """Return when the bands make sense; raise `BandsRefusedError`."""
    bands = [policy.bands.low, policy.bands.medium, policy.bands.high, policy.bands.critical]
    if any(band.least_cents > band.most_cents for band in bands):
        raise BandsRefusedError
    for lighter, graver in zip(bands, bands[1:], strict=False):
        if graver.least_cents < lighter.least_cents or graver.most_cents < lighter.most_cents:
            raise BandsRefusedError


def judge_award(policy: RewardPolicy, severity: Severity | None, cents: int) -> None:
    """Return when *policy* lets *cents* be paid for *severity*; raise `OutsideBandError` from one cent outside on."""
    if policy.mode == "thanks":
        raise ThanksOnlyError
    if severity is None:
        raise UnscoredError
    band = policy.bands.of(severity)
    if band is None or not band.least_cents <= cents <= band.most_cents:
        told = "nothing" if band is None else f"{money(band.least_cents)} to {money(band.most_cents)}"
        raise OutsideBandError(
            f"{money(cents)} {policy.currency} is outside the band: {severity} pays {told} {policy.currency}.",
            advice="Award an amount within the band, or triage again if the severity is wrong.",
        )


def money(cents: int) -> str:
    """Return *cents* as units with two decimals and thousands apart: `5,000.00`."""
    return f"{cents // 100:,}.{cents % 100:02d}"
