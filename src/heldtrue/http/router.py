"""From method and path to a route; the tables are compiled once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.routing import compile_path

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.problems import UnknownRouteError
from heldtrue.http.route import Route
from heldtrue.http.wire import Binder

_AMBIGUOUS = re.compile(rb"%(?:25)*(?:2[ef]|5c|00)|\\|;|//|/\.\.?(/|$)", re.IGNORECASE)
_UNSEEN = re.compile(rb"[^\x21\x22\x24-\x7e]")
"""What no request target has (RFC 9112, section 3.2): spaces, controls, bytes beyond ASCII, fragments."""


class AmbiguousTargetError(MalformedRequestError):
    """The path has dot segments, empty segments, semicolons or encoded slashes, once or again; send it without them."""

    code = "ambiguous-target"


def refuse_ambiguous(target: bytes) -> None:
    """Return when every reader of a request target, `path[?query]`, must read the same; raise otherwise."""
    if not target.startswith(b"/") or _UNSEEN.search(target) or _AMBIGUOUS.search(target.partition(b"?")[0]):
        raise AmbiguousTargetError


@dataclass(frozen=True, slots=True)
class Match:
    """What is at a path: its routes by method, and the path's parameters."""

    routes: Mapping[str, tuple[Route, Binder]]
    path: Mapping[str, str]

    @property
    def allow(self) -> str:
        """Return the `Allow` header: every method that is answered here."""
        methods = set(self.routes) | {"OPTIONS"} | ({"HEAD"} if "GET" in self.routes else set[str]())
        return ", ".join(sorted(methods))


class Router:
    """The tables of all capabilities; a path with parameters never hides one without."""

    def __init__(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, dict[str, tuple[Route, Binder]]] = {}
        for route in routes:
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes are at {route.at}")
            methods[route.method] = (route, Binder(route))
        self._plain = {path: methods for path, methods in by_path.items() if "{" not in path}
        self._patterns = [(compile_path(path)[0], by_path[path]) for path in sorted(by_path) if "{" in path]

    def find(self, raw_path: bytes, path: str) -> Match:
        """Return what is at *path*; raise `UnknownRouteError`, or `AmbiguousTargetError` for what may mislead."""
        if _AMBIGUOUS.search(raw_path):
            raise AmbiguousTargetError
        plain = self._plain.get(path)
        if plain is not None:
            return Match(plain, {})
        for pattern, methods in self._patterns:
            found = pattern.match(path)
            if found is not None:
                return Match(methods, found.groupdict())
        raise UnknownRouteError
