"""Rehearse attacks of a package without an instance: against their controls, and against the broken ones.

For attacks that look at nothing of an arena. On an instance the same is done by `heldtrue claims run` and `calibrate`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, cast

from heldtrue.attack import Attack, AttackHinderedError, Finding
from heldtrue.attack.arena import Arena
from heldtrue.claims import broken
from heldtrue.claims.broken.permit import PREFIX, Broken, permit
from heldtrue.claims.catalogue import Catalogue
from heldtrue.claims.laboratory import guarded
from heldtrue.claims.own import Extension, Known, Own, join, opened


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of one attack."""

    control: Finding
    broken: Finding


class NoArena:
    """What an attack gets where there is no instance: whatever it asks for hinders it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttackHinderedError(f"a rehearsal has no {name}: run it on an instance, with `heldtrue claims run`")


def rehearse(extension: Extension) -> dict[str, Rehearsed]:
    """Return what comes of each attack; raise `OwnClaimsError` or `CatalogueError` where the claims are unsound."""
    return rehearse_all(opened(extension))


def rehearse_all(own: Own) -> dict[str, Rehearsed]:
    """Return the same of what a package or a posture file adds."""
    nothing = Known(catalogue=Catalogue((), ()), attacks=MappingProxyType({}), controls=broken.CONTROLS)
    known = join(nothing, [("the package", own)])
    return {name: _rehearse(attack, known.controls[attack.breaks]) for name, attack in known.attacks.items()}


def _rehearse(attack: Attack, control: Broken) -> Rehearsed:
    where = cast("Arena", cast("Any", NoArena()))
    sound = guarded(attack, lambda: attack.run(where))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as directory:
        given = permit(Path(directory))

        def act() -> Finding:
            with control.before(given), control.within(given, where) as changed:
                return attack.run(changed)

        return Rehearsed(sound, guarded(attack, act))
