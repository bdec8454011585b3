"""The operator's rules by method and path, compiled once; the most specific one wins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from heldtrue.capabilities.edge.model import RouteRule
from heldtrue.http.router import AmbiguousTargetError, refuse_ambiguous
from heldtrue.kernel.errors import SettingsError

_PATTERN = re.compile(r"/|(?:/(?:[^/*\s]+|\*))+/?|(?:/(?:[^/*\s]+|\*))*/\*\*")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PLAIN = bytes(letter for letter in range(0x21, 0x7F) if letter not in b"#%;?\\")
"""The letters of paths that need no second look, which takes five times as long as the first."""
_SEEN = bytes(letter for letter in range(0x21, 0x7F) if letter not in b"#")
REMEMBERED = 4096
"""Targets whose rule is remembered."""


class RouteRuleError(SettingsError):
    """A rule of the edge cannot be used; write it as `GET /v1/orders/*`, each method and path once."""

    code = "route-rule"


class _Node:
    """A segment of a path."""

    __slots__ = ("any", "here", "named", "rest")

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.here: RouteRule | None = None
        self.rest: RouteRule | None = None


class Rules:
    """Which rule is for a method and a path.

    Segment by segment, a name goes before `*`, and `*` before `/**`. At the same path, a rule that names the method
    goes before one for any. HEAD is judged as GET where no rule names it (RFC 9110, section 9.3.2), and a path that
    ends with `/` as the one without, because upstreams answer both alike.
    """

    def __init__(self, rules: Iterable[RouteRule]) -> None:
        """Compile *rules*; raise `RouteRuleError` for what is no rule."""
        self._known: dict[tuple[str, bytes], RouteRule | None] = {}
        given = tuple(rules)
        named = {method for rule in given for method in rule.methods}
        self._others = _tree([rule for rule in given if not rule.methods])
        self._by_method = {
            method: _tree([rule for rule in given if not rule.methods or method in rule.methods]) for method in named
        }
        if "GET" in named:
            self._by_method.setdefault("HEAD", self._by_method["GET"])

    def of(self, method: str, target: bytes) -> RouteRule | None:
        """Return the rule for a request target, None when there is none.

        Raise `AmbiguousTargetError` for a target that others may read in another way.
        """
        known = self._known
        try:
            return known[method, target]
        except KeyError:
            rule = self._find(method, segments_of(target))
        if len(known) >= REMEMBERED:
            known.clear()
        known[method, target] = rule
        return rule

    def _find(self, method: str, segments: list[str]) -> RouteRule | None:
        node = self._by_method.get(method, self._others)
        rest: RouteRule | None = None
        for at, segment in enumerate(segments):
            if node.rest is not None:
                rest = node.rest
            following = node.named.get(segment)
            if following is None:
                following = node.any
                if following is None:
                    return rest
            elif node.any is not None:  # two ways to go on
                return _walk(node, segments, at) or rest
            node = following
        return node.here or node.rest or rest


def segments_of(target: bytes) -> list[str]:
    """Return the segments of a target's path, decoded once; raise `AmbiguousTargetError` for what may mislead."""
    path, _, query = target.partition(b"?")
    if not path.translate(None, _PLAIN) and not (query and query.translate(None, _SEEN)):
        root, *segments = path.decode("ascii").split("/")
        rooted = not root and bool(segments)
        if rooted and not segments[-1]:
            segments.pop()
        if rooted and "" not in segments and "." not in segments and ".." not in segments:
            return segments
    refuse_ambiguous(target)
    if b"%" in path:
        path = unquote_to_bytes(path)
        if _CONTROL.search(path):
            raise AmbiguousTargetError
    try:
        text = path.decode()
    except UnicodeDecodeError as error:
        raise AmbiguousTargetError from error
    segments = text.split("/")[1:]
    return segments[:-1] if not segments[-1] else segments


def _tree(rules: list[RouteRule]) -> _Node:
    root = _Node()
    for rule in sorted(rules, key=lambda one: bool(one.methods)):  # one that names the method replaces one for any
        if not _PATTERN.fullmatch(rule.pattern):
            raise RouteRuleError(f"{rule.pattern!r} is no path with whole segments, `*`, or `/**` at its end.")
        node, segments = root, [segment for segment in rule.pattern.split("/") if segment]
        rest = segments[-1:] == ["**"]
        for segment in segments[:-1] if rest else segments:
            if segment == "*":
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.named.setdefault(segment, _Node())
        before = node.rest if rest else node.here
        if before is not None and bool(before.methods) == bool(rule.methods):
            raise RouteRuleError(f"Two rules are for {rule.pattern!r} and the same method.")
        if rest:
            node.rest = rule
        else:
            node.here = rule
    return root


def _walk(node: _Node, segments: list[str], at: int) -> RouteRule | None:
    if at == len(segments):
        return node.here or node.rest
    segment = segments[at]
    named = node.named.get(segment)
    found = _walk(named, segments, at + 1) if named is not None else None
    if found is None and node.any is not None:
        found = _walk(node.any, segments, at + 1)
    return found or node.rest
