"""The posture file: claims of the operator's own with checks that are declared, not programmed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from heldtrue.attack import Attack, Finding, Place, judged
from heldtrue.attack.arena import Arena
from heldtrue.capabilities.deliveries.addresses import AllowList
from heldtrue.claims.broken.permit import Broken, Permit, replaced
from heldtrue.claims.catalogue import CatalogueError, Group, span
from heldtrue.claims.model import Claim, EvidenceClass
from heldtrue.claims.own import Own, OwnClaimsError
from heldtrue.claims.posture import checks
from heldtrue.claims.posture.checks import Check
from heldtrue.claims.posture.way import Way

BREAKS = "posture-violated"
GROUP = "Our own posture"
ABOUT = "What the operator promises beside the index, and checks by a posture file."


class _Claim(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    sentence: str
    scope: str
    cadence: str
    max_age: str
    check: tuple[Check, ...]
    frameworks: tuple[str, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    claim: tuple[_Claim, ...]
    group: str = GROUP
    about: str = ABOUT


@dataclass(frozen=True, slots=True)
class Tries:
    """Makes the declared checks of one claim."""

    checks: tuple[Check, ...]
    way: Way

    def __call__(self, arena: Arena) -> Finding:
        """Look at everything and return what was found."""
        del arena  # nothing of this instance is touched
        faults = [fault for check in self.checks if (fault := check.fault(checks.observe(check, self.way)))]
        said = " ".join(check.says() for check in self.checks)
        return judged(faults, said, checks=len(self.checks))


def load(file: Path, allow: AllowList, ca_file: Path | None = None) -> Own:
    """Return the claims and attacks that *file* declares; raise `OwnClaimsError` for what cannot be used."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise OwnClaimsError(
            f"the posture file {file} cannot be read: {error.strerror}", advice="Check `posture.file`."
        ) from error
    return parse(text, str(file), Way(allow, ca_file))


def parse(text: str, called: str, way: Way) -> Own:
    """Return what a posture file with this *text* declares."""
    try:
        found = msgspec.convert(tomllib.loads(text), _File)
        claims = [_claim(found.group, raw) for raw in found.claim]
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise OwnClaimsError(f"{called}: {error}", advice="See docs/guides/own-claims.md.") from error
    except CatalogueError as error:
        raise OwnClaimsError(f"{called}: {error.message}") from error
    attacks = [_attack(raw, way) for raw in found.claim]
    control = Broken(name=BREAKS, what="What is looked at answers otherwise than promised.", before=_violated)
    return Own(group=Group(found.group, found.about), claims=claims, attacks=attacks, controls=[control])


def attack_name(claim: str) -> str:
    """Return the name of the attack that makes a claim's checks."""
    return f"posture.{claim.replace('.', '_')}"


def _claim(group: str, raw: _Claim) -> Claim:
    cadence, max_age = span(raw.cadence), span(raw.max_age)
    if max_age < 2 * cadence:
        raise CatalogueError(f"claim {raw.id}: a maximum age under twice the cadence is stale by its own schedule")
    if not raw.check:
        raise CatalogueError(f"claim {raw.id}: declare at least one [[claim.check]]")
    return Claim(
        id=raw.id,
        rows=(),
        group=group,
        sentence=raw.sentence,
        scope=raw.scope,
        attacks=(attack_name(raw.id),),
        cadence=cadence,
        max_age=max_age,
        evidence=EvidenceClass.MACHINE,
        frameworks=raw.frameworks,
        own=True,
    )


def _attack(raw: _Claim, way: Way) -> Attack:
    return Attack(
        name=attack_name(raw.id),
        place=Place.OBSERVE,
        tries=tuple(check.tries() for check in raw.check),
        run=Tries(raw.check, way),
        breaks=BREAKS,
        needs=(checks.__name__, Way.__module__),
        declares=msgspec.json.encode(raw.check, order="deterministic").decode(),
    )


def _violated(given: Permit) -> Any:
    return replaced(given, (f"{checks.__name__}:observe", _violating))


def _violating(check: Check, way: Way) -> Any:
    """Return what must be seen as a violation, without a look at anything."""
    del way
    return check.violation()
