"""Domain errors as problem documents (RFC 9457): the one place where an error meets a status code."""

from __future__ import annotations

import errno
import inspect
import math
from collections.abc import Iterator

import msgspec

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.kernel.errors import (
    BadInputError,
    ConflictError,
    DeniedError,
    HeldtrueError,
    IntegrityError,
    LimitedError,
    NotFoundError,
    SettingsError,
    StorageFullError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from heldtrue.kernel.ids import RequestId

MEDIA_TYPE = "application/problem+json"
RETRY_UNAVAILABLE = 2.0


class UnknownRouteError(NotFoundError):
    """There is no operation at this path; `/docs` lists those there are."""

    code = "unknown-route"


class MethodNotAllowedError(HeldtrueError):
    """The path exists, but not with this method; `Allow` names those it has."""

    code = "method-not-allowed"


class UnsupportedMediaTypeError(BadInputError):
    """The body is not of a type that this operation takes; `/docs` says which it takes."""

    code = "unsupported-media-type"


class UnknownFailureError(HeldtrueError):
    """Something failed here that should not have; nothing was changed. Tell the operator the request id."""

    code = "internal"


class MisdirectedError(HeldtrueError):
    """This server does not answer for the host that the request names; check the URL."""

    code = "misdirected"


class UpstreamFailedError(HeldtrueError):
    """The API behind this proxy gave no usable answer; try again, and tell its operator if it stays so."""

    code = "upstream-failed"


class UpstreamTimeoutError(HeldtrueError):
    """The API behind this proxy did not answer in time; whether it did what was asked is not known."""

    code = "upstream-timeout"


STATUS: dict[type[HeldtrueError], int] = {
    HeldtrueError: 500,
    MalformedRequestError: 400,
    UnauthenticatedError: 401,
    DeniedError: 403,
    NotFoundError: 404,
    MethodNotAllowedError: 405,
    ConflictError: 409,
    TooLargeError: 413,
    UnsupportedMediaTypeError: 415,
    MisdirectedError: 421,
    BadInputError: 422,
    LimitedError: 429,
    IntegrityError: 500,
    SettingsError: 500,
    UpstreamFailedError: 502,
    UnavailableError: 503,
    UpstreamTimeoutError: 504,
    StorageFullError: 507,
}
"""Status by class; a class that is not here has that of its nearest ancestor."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457). `type` leads to a page that explains it."""

    type: str
    title: str
    status: int
    detail: str
    request: str
    """The request id, as in `Request-Id`; name it when you ask for help."""
    instance: str = ""
    advice: str = ""
    """What you can do about it."""


def status_of(kind: type[HeldtrueError]) -> int:
    """Return the status of an error class."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def explain(kind: type[HeldtrueError]) -> str:
    """Return what an error class tells the caller: its docstring's first paragraph."""
    return (inspect.getdoc(kind) or kind.__name__).split("\n\n")[0].replace("\n", " ")


def title_of(kind: type[HeldtrueError]) -> str:
    """Return the short name of a problem type, the same in every instance of it."""
    return kind.code.replace("-", " ").capitalize()


def kinds() -> Iterator[type[HeldtrueError]]:
    """Yield each problem type that is known in this process, once by code, the broader class first."""
    seen: set[str] = set()
    waiting: list[type[HeldtrueError]] = [HeldtrueError]
    while waiting:
        kind = waiting.pop(0)
        if kind.code not in seen:
            seen.add(kind.code)
            yield kind
        waiting.extend(sorted(kind.__subclasses__(), key=lambda one: one.__name__))


def known(error: BaseException) -> HeldtrueError:
    """Return *error* as a domain error: a full disk is recognised, anything else unknown is our failure."""
    if isinstance(error, HeldtrueError):
        return error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError()
    return UnknownFailureError()


def problem_of(error: HeldtrueError, request: RequestId) -> Problem:
    """Return the problem document of *error*; from 500 on it tells the class's own words only, no internals."""
    status = status_of(type(error))
    return Problem(
        type=f"/problems/{error.code}",
        title=title_of(type(error)),
        status=status,
        detail=explain(type(error)) if status >= 500 else error.message.replace("\n", " "),
        request=str(request),
        instance=f"urn:heldtrue:request:{request.value.hex}",
        advice=error.advice,
    )


def headers_of(error: HeldtrueError) -> list[tuple[str, str]]:
    """Return the headers that a problem of this kind owes its reader (RFC 9110, sections 10.2.3 and 11.6.1)."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, UnauthenticatedError):
        headers.append(("www-authenticate", 'Bearer realm="heldtrue"'))
    if isinstance(error, LimitedError):
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    elif isinstance(error, UnavailableError):
        headers.append(("retry-after", str(math.ceil(float(getattr(error, "retry_after", RETRY_UNAVAILABLE))))))
    return headers
