"""The one decision: may this caller do this? Deny is the default, and the answer names what is missing."""

from __future__ import annotations

from heldtrue.kernel.errors import DeniedError
from heldtrue.policy.permissions import Permission


class MissingPermissionError(DeniedError):
    """The credential does not have the permission that is named; use one whose role and scopes have it."""

    code = "missing-permission"


class EscalationError(DeniedError):
    """A credential cannot give another more than it may do itself; ask for less, or use a stronger credential."""

    code = "escalation"


def decide(has: frozenset[Permission], needs: Permission) -> None:
    """Return when *needs* is among what the caller has; raise `MissingPermissionError` otherwise."""
    if needs not in has:
        raise MissingPermissionError(
            f"This credential may not do {needs.value}.", advice=f"Use a key whose role and scopes hold {needs.value}."
        )


def may_give(has: frozenset[Permission], gives: frozenset[Permission]) -> None:
    """Return when a caller that *has* these permissions may hand out *gives*; raise `EscalationError` otherwise."""
    beyond = sorted(gives - has)
    if beyond:
        raise EscalationError(f"This credential may not give {', '.join(beyond)}, which it does not have.")
