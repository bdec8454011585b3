"""The life of a key: states and transitions of NIST SP 800-57 part 1 revision 5, section 7."""

from __future__ import annotations

from enum import StrEnum

from heldtrue.kernel.errors import ConflictError


class KeyState(StrEnum):
    """Where a key is in its life."""

    PRE_ACTIVATION = "pre-activation"
    """Made, and not yet used."""
    ACTIVE = "active"
    """Protects and processes."""
    SUSPENDED = "suspended"
    """Protects nothing for now; still processes what it protected."""
    DEACTIVATED = "deactivated"
    """Protects nothing any more; still processes what it protected."""
    COMPROMISED = "compromised"
    """Known to a stranger; processes under caution only."""
    DESTROYED = "destroyed"
    """Gone; only its record remains."""

    @property
    def protects(self) -> bool:
        """Whether it may seal, wrap or sign."""
        return self is KeyState.ACTIVE

    @property
    def processes(self) -> bool:
        """Whether it may open or unwrap what it protected."""
        return self not in {KeyState.PRE_ACTIVATION, KeyState.DESTROYED}


class KeyTransitionError(ConflictError):
    """A key cannot go from its state to that one; look its state up and decide anew."""

    code = "key-transition"


ALLOWED: dict[KeyState, frozenset[KeyState]] = {
    KeyState.PRE_ACTIVATION: frozenset({KeyState.ACTIVE, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.ACTIVE: frozenset({KeyState.SUSPENDED, KeyState.DEACTIVATED, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.SUSPENDED: frozenset({KeyState.ACTIVE, KeyState.DEACTIVATED, KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.DEACTIVATED: frozenset({KeyState.COMPROMISED, KeyState.DESTROYED}),
    KeyState.COMPROMISED: frozenset({KeyState.DESTROYED}),
    KeyState.DESTROYED: frozenset(),
}
"""Where each state may lead. An erasable object's key may be destroyed while active: its content is meant to go."""


def advance(state: KeyState, to: KeyState) -> KeyState:
    """Return *to* if a key may go there from *state*; raise `KeyTransitionError` otherwise."""
    if to not in ALLOWED[state]:
        raise KeyTransitionError(f"a key that is {state} cannot become {to}")
    return to
