"""Domain errors: each class says what happened, and its docstring tells the caller what to do.

HTTP status codes appear only in `heldtrue.http.problems`, which translates these classes once, at the rim.
"""

from __future__ import annotations

from typing import ClassVar


class HeldtrueError(Exception):
    """Something was refused or could not be done; read the message, it says what to do next."""

    code: ClassVar[str] = "error"
    """Stable, kebab-case identifier; the `type` of the problem document is made of it."""

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(message or type(self).__doc__ or type(self).__name__)
        self.message = message or (type(self).__doc__ or "").strip()
        self.advice = advice
        """What the caller can do about it, in one sentence; empty where nothing can be done."""


class BadInputError(HeldtrueError):
    """The input cannot be used as it is; correct it and send it again."""

    code = "bad-input"


class UnauthenticatedError(HeldtrueError):
    """No usable credential came with the request; send `Authorization: Bearer <key>`."""

    code = "unauthenticated"


class DeniedError(HeldtrueError):
    """The credential is known but may not do this; use one with the permission that is named."""

    code = "denied"


class NotFoundError(HeldtrueError):
    """There is no such thing in this organisation and environment; check the id."""

    code = "not-found"


class ConflictError(HeldtrueError):
    """The request contradicts the present state; read the state and decide anew."""

    code = "conflict"


class TooLargeError(HeldtrueError):
    """The body is over the limit; send less, or ask the operator to raise the limit."""

    code = "too-large"


class LimitedError(HeldtrueError):
    """Too many requests; wait as long as `Retry-After` says."""

    code = "rate-limited"

    def __init__(self, message: str = "", *, advice: str = "", retry_after: float = 1.0) -> None:
        super().__init__(message, advice=advice)
        self.retry_after = retry_after
        """Seconds to wait before the next try."""


class UnavailableError(HeldtrueError):
    """A part that is needed cannot answer now; nothing was done, try again shortly."""

    code = "unavailable"


class StorageFullError(UnavailableError):
    """There is no room to store the body durably; nothing was accepted, free disk space and send again."""

    code = "storage-full"


class IntegrityError(HeldtrueError):
    """Stored or received bytes are not what was signed, sealed or logged; do not use them."""

    code = "integrity"


class SettingsError(HeldtrueError):
    """A setting cannot be used; the message names it and says what to write instead."""

    code = "settings"
