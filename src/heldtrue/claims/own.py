"""The operator's own claims and attacks: from packages, by entry point, and from a posture file.

They stand on the page apart from those that ship, and can neither replace one nor speak for a row of the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from types import MappingProxyType

from heldtrue.attack import Attack
from heldtrue.claims.broken.permit import Broken
from heldtrue.claims.catalogue import Catalogue, CatalogueError, Group, read
from heldtrue.claims.model import Claim
from heldtrue.kernel.errors import SettingsError

ENTRY_POINTS = "heldtrue.claims"
"""The group whose entry points name an `Extension`."""


class OwnClaimsError(SettingsError):
    """A package or posture file with claims cannot be used; the message names it and what is wrong."""

    code = "own-claims"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What a package adds."""

    claims: str
    """A group of claims as TOML, in the form of the catalogue that ships, without rows."""
    attacks: Sequence[Attack] = ()
    controls: Sequence[Broken] = ()
    """A deliberately broken control for each attack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that is promised and attacked here."""

    catalogue: Catalogue
    attacks: Mapping[str, Attack]
    controls: Mapping[str, Broken]


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What is added, read and checked by itself."""

    group: Group
    claims: Sequence[Claim]
    attacks: Sequence[Attack]
    controls: Sequence[Broken]


def opened(extension: Extension) -> Own:
    """Return what an extension adds; raise `CatalogueError` where its claims are unsound."""
    group, claims = read(extension.claims)
    return Own(group=group, claims=claims, attacks=extension.attacks, controls=extension.controls)


def installed() -> list[tuple[str, Own]]:
    """Return what the installed packages add, by the names of their entry points."""
    found: list[tuple[str, Own]] = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            extension = point.load()
        except Exception as error:
            raise OwnClaimsError(
                f"the entry point {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}",
                advice="Correct the package, or uninstall it.",
            ) from error
        if not isinstance(extension, Extension):
            raise OwnClaimsError(
                f"the entry point {point.name!r} ({point.value}) is no heldtrue.claims.own.Extension",
                advice="Point it at an object of that class.",
            )
        found.append((point.name, _read(point.name, extension)))
    return found


def join(shipped: Known, more: Iterable[tuple[str, Own]]) -> Known:
    """Return *shipped* with *more* behind it; raise `OwnClaimsError` for what would replace or speak for another."""
    known = shipped
    for name, own in more:
        _check(known, name, own)
        claims = tuple(replace(claim, own=True) for claim in own.claims)
        known = Known(
            catalogue=Catalogue(
                (*known.catalogue.groups, replace(own.group, own=True)), (*known.catalogue.claims, *claims)
            ),
            attacks=MappingProxyType({**known.attacks, **{attack.name: attack for attack in own.attacks}}),
            controls=MappingProxyType({**known.controls, **{control.name: control for control in own.controls}}),
        )
    return known


def _read(name: str, extension: Extension) -> Own:
    try:
        return opened(extension)
    except CatalogueError as error:
        raise OwnClaimsError(f"the claims of {name!r}: {error.message}") from error


def _check(known: Known, name: str, own: Own) -> None:
    def refuse(what: str) -> OwnClaimsError:
        return OwnClaimsError(f"{name}: {what}", advice="Give it a name of your own.")

    if own.group.name in {group.name for group in known.catalogue.groups}:
        raise refuse(f"the heading {own.group.name!r} is taken")
    ids = {claim.id for claim in known.catalogue.claims}
    for claim in own.claims:
        if claim.id in ids:
            raise refuse(f"a claim {claim.id!r} is there already, and none can be replaced")
        if claim.rows:
            raise refuse(f"the claim {claim.id!r} speaks for a row of the index; only shipped claims do")
    for kind, names, taken in (
        ("attack", [attack.name for attack in own.attacks], known.attacks),
        ("broken control", [control.name for control in own.controls], known.controls),
    ):
        for each in names:
            if each in taken or names.count(each) > 1:
                raise refuse(f"the {kind} {each!r} is there already, and none can be replaced")
    _check_links(known, own, refuse)


def _check_links(known: Known, own: Own, refuse: Callable[[str], OwnClaimsError]) -> None:
    attacks = {attack.name for attack in own.attacks}
    controls = {control.name for control in own.controls}
    for claim in own.claims:
        missing = set(claim.attacks) - attacks - known.attacks.keys()
        if missing:
            raise refuse(f"the claim {claim.id!r} names attacks that there are not: {', '.join(sorted(missing))}")
    for attack in own.attacks:
        if attack.breaks not in controls | known.controls.keys():
            raise refuse(f"the attack {attack.name!r} has no broken control {attack.breaks!r}")
        if not any(attack.name in claim.attacks for claim in own.claims):
            raise refuse(f"the attack {attack.name!r} belongs to no claim")
