"""Forms of the public pages: read without a script, refused from other sites, bounded by source.

A form's route is `signed`: its action takes a `http.exchange.Signed` and reads the bytes itself. The same route takes
JSON from programs, so that a page and its JSON have one way in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from heldtrue.crypto.canonical import parse_strict
from heldtrue.http.exchange import Signed
from heldtrue.http.headers import HTML_POLICY
from heldtrue.http.limits import Gcra, Rate
from heldtrue.http.problems import UnsupportedMediaTypeError
from heldtrue.http.wire import InvalidValueError, UnknownMemberError
from heldtrue.kernel.errors import DeniedError, LimitedError

T = TypeVar("T", bound=msgspec.Struct)
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MOST_FIELDS = 64
FORM_POLICY = {"content-security-policy": HTML_POLICY.replace("form-action 'none'", "form-action 'self'")}
"""Headers of a page with a form: a `Page` with them may send its form to this site, and nowhere else."""


class CrossSiteError(DeniedError):
    """The form was sent from another site's page; open the page here and send it from there."""

    code = "cross-site"


class Turnstile:
    """A bound of so many forms a source, and so many in all; of one process."""

    def __init__(self, name: str, each: Rate, all_together: Rate, monotonic: Callable[[], float]) -> None:
        self._each = Gcra(name, each, monotonic)
        self._all = Gcra(f"{name}-all", all_together, monotonic)

    def pass_through(self, source: str) -> None:
        """Count one form of *source*; raise `LimitedError` when there were too many."""
        for table, bucket in ((self._each, source), (self._all, "all")):
            standing = table.take(bucket)
            if not standing.admitted:
                raise LimitedError(
                    "Too many of these were sent.", advice="Wait a while and send it again.",
                    retry_after=standing.retry_after,
                )  # fmt: skip


def wants_page(asked: Signed) -> bool:
    """Return whether the answer shall be a page: a form was sent, not JSON."""
    return _media(asked) != JSON


def read(asked: Signed, kind: type[T]) -> T:
    """Return the fields of a form, or the members of a JSON object, as a *kind*.

    An empty field is one that was left out. Line breaks are `\\n`. Raise what is a `BadInputError` where a field is
    unknown, missing, twice there or out of range, and `CrossSiteError` for a form that another site's page sent.
    """
    site = asked.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise CrossSiteError
    match _media(asked):
        case "application/json":
            found: object = parse_strict(asked.body)
        case "application/x-www-form-urlencoded":
            found = _fields(asked.body)
        case _:
            raise UnsupportedMediaTypeError(f"The body must be {FORM} or {JSON}.")
    _refuse_unknown(found, kind)
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidValueError(str(error)) from error


def _media(asked: Signed) -> str:
    return asked.headers.get("content-type", "").partition(";")[0].strip().lower()


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=True, errors="strict",
            max_num_fields=MOST_FIELDS,
        )  # fmt: skip
    except ValueError as error:
        raise InvalidValueError("The form cannot be read.") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidValueError(f"The field {name[:80]!r} is there twice.")
        found[name] = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    return {name: value for name, value in found.items() if value}


def _refuse_unknown(found: object, kind: type[msgspec.Struct]) -> None:
    if not isinstance(found, dict):
        raise InvalidValueError("The body must be a form or a JSON object.")
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for name in found:
        if name not in known:
            raise UnknownMemberError(f"There is no field {str(name)[:80]!r} here.")
