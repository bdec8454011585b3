"""A refusal in the words that a caller sees: every door and the runtime put their errors into a verdict here."""

from __future__ import annotations

from collections.abc import Sequence

from heldtrue.capabilities.edge.model import Caller, RouteRule, Verdict
from heldtrue.http.problems import explain, headers_of, known, status_of


def refusal(
    error: Exception,
    caller: Caller | None = None,
    rule: RouteRule | None = None,
    limits: Sequence[tuple[str, str]] = (),
) -> Verdict:
    """Return *error* as a refusing verdict; from 500 on it tells its class's own words only, no internals.

    *limits* are the headers of an admission that was judged before; what the error itself says goes before them.
    """
    meant = known(error)
    status = status_of(type(meant))
    headers = headers_of(meant)
    if limits:
        told = {name for name, _ in headers}
        headers = [*headers, *((name, value) for name, value in limits if name not in told)]
    detail = explain(type(meant)) if status >= 500 else meant.message.replace("\n", " ")
    return Verdict(False, status, meant.code, detail, meant.advice, caller, rule, tuple(headers))
