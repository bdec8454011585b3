"""The pages of the API itself: its reference and its problem types. Made once, at start, from the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape

from heldtrue.http import openapi
from heldtrue.http.problems import explain, kinds, status_of, title_of
from heldtrue.http.route import Realm, Route

Json = dict[str, Any]
_SCHEMA = "#/components/schemas/"


def code(text: str) -> Markup:
    """Return *text* escaped, with what stands in backticks set as code."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:
        return Markup(str(escape(text)))  # noqa: S704 - escaped above
    return Markup("".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts)))  # noqa: S704


_HTML = jinja2.Environment(
    loader=jinja2.DictLoader(
        {
            item.name: item.read_text("utf-8")
            for item in resources.files("heldtrue.http").joinpath("templates").iterdir()
            if item.name.endswith(".html")
        }
    ),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_HTML.filters["code"] = code
STYLE = resources.files("heldtrue.http").joinpath("templates", "reference.css").read_bytes()
"""Read at import, before the process gives up its rights."""


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body or an answer, or a parameter, as a reader wants it."""

    name: str
    kind: str
    required: bool
    note: str


@dataclass(frozen=True, slots=True)
class Described:
    """One operation on the reference page."""

    route: Route
    anchor: str
    path: str
    parameters: list[Field]
    body: list[Field]
    gives: list[Field]
    within: list[tuple[str, list[Field]]]
    """Types that the answer is made of, by name."""
    answers: list[tuple[str, str]]
    curl: str


def reference(routes: Sequence[Route], document: Json) -> bytes:
    """Return the browsable reference of *routes*; it needs no script."""
    groups: dict[str, list[Described]] = {}
    for route in routes:
        operation = document["paths"][openapi.template(route)][route.method.lower()]
        groups.setdefault(operation["tags"][0], []).append(_described(route, operation, document))
    ordered = dict(sorted(groups.items(), key=lambda group: (group[1][0].route.realm is Realm.PUBLIC, group[0])))
    page = _HTML.get_template("reference.html").render(
        groups=ordered, version=document["info"]["version"], count=len(routes), Realm=Realm
    )
    return page.encode()


def problem_pages() -> tuple[bytes, dict[str, bytes]]:
    """Return the list of problem types and, by code, the page of each."""
    described = [
        {"code": kind.code, "title": title_of(kind), "status": status_of(kind), "text": explain(kind)}
        for kind in kinds()
    ]
    described.sort(key=lambda one: (one["status"], one["code"]))
    index = _HTML.get_template("problems.html").render(problems=described).encode()
    page = _HTML.get_template("problem.html")
    return index, {str(one["code"]): page.render(problem=one).encode() for one in described}


def _described(route: Route, operation: Json, document: Json) -> Described:
    content: Json = operation.get("requestBody", {}).get("content", {})
    body = [] if route.streams else _fields(content.get("application/json", {}).get("schema", {}), document)
    answer: Json = operation["responses"][str(route.status)]
    given: Json = answer.get("content", {}).get(route.produces, {}).get("schema", {})
    return Described(
        route=route,
        anchor=operation["operationId"],
        path=openapi.template(route),
        parameters=[
            Field(
                one["name"], f"{_kind(one['schema'])}, {one['in']}", one["required"], _note(one) or _note(one["schema"])
            )
            for one in operation["parameters"]
        ],
        body=body,
        gives=_fields(given, document),
        within=[(name, _fields({"$ref": _SCHEMA + name}, document)) for name in _named_within(given, document)],
        answers=[
            (status, _followed(one, document)["description"]) for status, one in sorted(operation["responses"].items())
        ],
        curl=_curl(route, body),
    )


def _followed(schema: Json, document: Json) -> Json:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _fields(schema: Json, document: Json) -> list[Field]:
    followed = _followed(schema, document)
    needed = followed.get("required", [])
    return [Field(name, _kind(one), name in needed, _note(one)) for name, one in followed.get("properties", {}).items()]


def _note(schema: Json) -> str:
    """Return a schema's description, its own or that of what it may be; a named type has its own place."""
    options = [schema, *schema.get("anyOf", [])]
    return next((str(one["description"]) for one in options if "description" in one), "")


def _named_within(schema: Json, document: Json) -> list[str]:
    """Return the named types that *schema*'s members are made of, in the order in which they are met."""
    found: list[str] = []
    waiting: list[Json] = list(_followed(schema, document).get("properties", {}).values())
    while waiting:
        one = waiting.pop(0)
        if "$ref" in one:
            name = str(one["$ref"]).removeprefix(_SCHEMA)
            if name not in found and "properties" in _followed(one, document):
                found.append(name)
                waiting += _followed(one, document)["properties"].values()
        waiting += [part for part in (*one.get("anyOf", []), one.get("items")) if part]
    return found


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = str(schema.get("type", "any"))
    return f"{kind}, {schema['format']}" if "format" in schema else kind


def _curl(route: Route, body: list[Field]) -> str:
    parts = ["curl"]
    if route.method != "GET":
        parts.append(f"-X {route.method}")
    if route.needs is not None:
        parts.append('-H "Authorization: Bearer $HELDTRUE_KEY"')
    if route.creates:
        parts.append('-H "Idempotency-Key: $(uuidgen)"')
    if route.streams and route.mutates:
        parts.append("-H 'Content-Type: application/xml' --data-binary @invoice.xml")
    elif body:
        shown = [field for field in body if field.required] or body[:1]
        example = {field.name: f"<{field.name}>" for field in shown}
        parts.append(f"--json '{json.dumps(example)}'")
    parts.append(f'"$HELDTRUE_URL{openapi.template(route)}"')
    return " ".join(parts)
