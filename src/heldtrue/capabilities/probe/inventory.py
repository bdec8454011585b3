"""The routes of the target: from an OpenAPI 3.0 or 3.1 document in JSON, or from a list with a route a line."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from heldtrue.capabilities.probe.model import METHODS, ProbeInputError

_PARAMETER = re.compile(r"\{([^{}/]+)\}")
_LINE = re.compile(r"([A-Z]+)\s+(/\S*)")
MOST = 5000
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One route of the target."""

    method: str
    path: str
    """A template, as `/v1/orders/{order_id}`; a list may give it a query, as `?order_id={order_id}`."""
    query: tuple[tuple[str, str], ...] = ()
    """Parameters of the query that are required: name and, where the document has one, an example."""
    public: bool = False
    """The document says that it takes no credential."""
    takes_body: bool = False
    body: str | None = None
    """The document's example of a body, as JSON text."""
    examples: tuple[tuple[str, str], ...] = ()
    """The document's examples of path parameters; they belong to nobody in particular."""

    @property
    def at(self) -> str:
        """Method and path template."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path template and its query, in order, each once."""
        return tuple(dict.fromkeys([*_PARAMETER.findall(self.path), *(name for name, _ in self.query)]))

    def is_in(self, patterns: Iterable[str]) -> bool:
        """Whether one of *patterns* is this route; `*` stands for any text, and for any method."""
        return any(fnmatch.fnmatchcase(self.at, pattern.replace("[", "[[]")) for pattern in patterns)


def read(text: str) -> list[ApiRoute]:
    """Return the routes that *text* lists, each once; raise `ProbeInputError` where there is none."""
    routes = _openapi(text) if text.lstrip().startswith("{") else _lines(text)
    if not routes:
        raise ProbeInputError("there is no route in it", advice="Give an OpenAPI document or `GET /path` lines.")
    if len(routes) > MOST:
        raise ProbeInputError(f"{len(routes)} routes are too many", advice=f"Give at most {MOST} at a time.")
    return sorted(dict.fromkeys(routes), key=lambda route: (METHODS.index(route.method), route.path))


def _lines(text: str) -> list[ApiRoute]:
    routes: list[ApiRoute] = []
    for number, line in enumerate(text.splitlines(), start=1):
        asked = line.split(" #", 1)[0].strip()
        if not asked or asked.startswith("#"):
            continue
        found = _LINE.fullmatch(asked)
        if number == 1 and asked.startswith(("openapi:", "swagger:", "---")):
            raise ProbeInputError("the document is YAML", advice="Convert it to JSON first; only JSON is read.")
        if found is None or found[1] not in METHODS:
            raise ProbeInputError(f"line {number} is no route: {asked[:80]!r}", advice="Write `GET /v1/orders/{id}`.")
        routes.append(ApiRoute(found[1], found[2]))
    return routes


def _openapi(text: str) -> list[ApiRoute]:
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise ProbeInputError(f"the document is not JSON: {error}", advice="Only OpenAPI in JSON is read.") from error
    version = str(document.get("openapi", ""))
    if not version.startswith(("3.0", "3.1")) or not isinstance(document.get("paths"), dict):
        raise ProbeInputError("the document is not OpenAPI 3.0 or 3.1", advice="Convert it, or list the routes.")
    return [route for path, item in document["paths"].items() for route in _item(document, path, item)]


def _item(document: Json, path: str, item: Json) -> Iterable[ApiRoute]:
    shared = [_resolve(document, one) for one in item.get("parameters", [])]
    for method in METHODS:
        operation = item.get(method.lower())
        if isinstance(operation, dict):
            yield _operation(document, method, path, shared, cast("Json", operation))


def _operation(document: Json, method: str, path: str, shared: list[Json], operation: Json) -> ApiRoute:
    own = [_resolve(document, one) for one in operation.get("parameters", [])]
    known = {(one.get("in"), one.get("name")): one for one in [*shared, *own]}
    query = [
        (str(name), _example(one)) for (place, name), one in known.items() if place == "query" and one.get("required")
    ]
    examples = [(str(name), _example(one)) for (place, name), one in known.items() if place == "path" and _example(one)]
    security = operation.get("security", document.get("security"))
    body = _resolve(document, operation["requestBody"]) if "requestBody" in operation else {}
    return ApiRoute(
        method, path, tuple(query), public=security is not None and (not security or {} in security),
        takes_body=bool(body), body=_text(_body_example(document, body)), examples=tuple(examples),
    )  # fmt: skip


def _body_example(document: Json, body: Json) -> Any:
    media: Json = body.get("content", {}).get("application/json", {})
    if "example" in media:
        return media["example"]
    for one in media.get("examples", {}).values():
        return _resolve(document, one).get("value")
    schema = _resolve(document, media.get("schema", {}))
    if "example" in schema:
        return schema["example"]
    return next(iter(schema.get("examples", [])), None)


def _example(parameter: Json) -> str:
    schema: Json = parameter.get("schema", {})
    for place in (parameter, schema):
        for name in ("example", "default"):
            if place.get(name) is not None:
                return str(place[name])
    first = next(iter(schema.get("examples", []) or schema.get("enum", [])), None)
    return "" if first is None else str(first)


def _resolve(document: Json, one: Json, depth: int = 0) -> Json:
    """Return what a reference within the document leads to; nothing outside of it is ever fetched."""
    reference = one.get("$ref")
    if reference is None:
        return one
    if depth > 20 or not str(reference).startswith("#/"):
        raise ProbeInputError(f"the reference {reference!r} leads out of the document", advice="Bundle the document.")
    found: Any = document
    for part in str(reference)[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise ProbeInputError(f"the reference {reference!r} leads nowhere", advice="Correct the document.")
        found = cast("Json", found)[name]
    return _resolve(document, cast("Json", found), depth + 1)


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)
