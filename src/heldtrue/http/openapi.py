"""OpenAPI 3.1, generated from the same tables that requests are routed by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import msgspec

from heldtrue.http.exchange import MalformedRequestError
from heldtrue.http.parameters import in_path, in_query
from heldtrue.http.problems import MEDIA_TYPE, Problem, UnsupportedMediaTypeError, explain, status_of
from heldtrue.http.route import Realm, Route
from heldtrue.http.wire import FORM, Binder
from heldtrue.kernel.errors import (
    BadInputError,
    ConflictError,
    DeniedError,
    HeldtrueError,
    LimitedError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)
from heldtrue.kernel.secret import Secret

_REFERENCE = "#/components/schemas/{name}"
Json = dict[str, Any]
ByType = Mapping[type, Json]
_ANY_BODY: Json = {"type": "string", "format": "binary"}


def document(routes: Sequence[Route], *, servers: Iterable[str] = ()) -> Json:
    """Return the OpenAPI document of *routes*."""
    types = {kind for route in routes for kind in (route.takes, route.gives) if kind is not None} | {Problem}
    ordered = sorted(types, key=repr)
    references, schemas = msgspec.json.schema_components(ordered, schema_hook=_hook, ref_template=_REFERENCE)
    by_type: ByType = dict(zip(ordered, references, strict=True))
    paths: Json = {}
    for route in routes:
        operation = _operation(route, by_type, schemas)
        paths.setdefault(template(route), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heldtrue",
            "version": metadata.version("heldtrue"),
            "summary": "Takes payloads in, seals them, forwards them with signed receipts, proves what it promises.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url} for url in servers] or [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "ht_<sk|pk>_<environment>_<49 base62>",
                    "description": "An API key, as `Authorization: Bearer <key>`.",
                }
            },
            "headers": _HEADERS,
            "responses": {_name(kind): _problem_response(kind) for kind in _PROBLEMS},
        },
        "tags": [{"name": tag} for tag in sorted({tag for route in routes for tag in _tags(route)})],
    }


_PROBLEMS: tuple[type[HeldtrueError], ...] = (
    MalformedRequestError, UnauthenticatedError, DeniedError, NotFoundError, ConflictError, TooLargeError,
    UnsupportedMediaTypeError, BadInputError, LimitedError, UnavailableError,
)  # fmt: skip

_HEADERS: Json = {
    "Request-Id": {"description": "Name it when you ask for help.", "schema": {"type": "string"}},
    "traceparent": {"description": "W3C Trace Context, continued.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left, by limit.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limits.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def template(route: Route) -> str:
    """Return the path as OpenAPI writes it: `{path:path}` is `{path}`."""
    return route.path.replace(":path}", "}")


def operation_id(route: Route) -> str:
    """Return a stable name made of method and path."""
    words = template(route).replace("{", "").replace("}", "").replace(".", "/").strip("/").split("/")
    return "_".join([route.method.lower(), *(word.replace("-", "_") for word in words)])


def _tags(route: Route) -> tuple[str, ...]:
    return route.tags or (route.path.removeprefix("/v1").strip("/").split("/")[0] or "pages",)


def _operation(route: Route, by_type: ByType, schemas: Json) -> Json:
    binder = Binder(route)
    properties = _properties(route, by_type, schemas)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": in_path(name, properties.get(name))}
        for name in _path_names(route)
    ]
    required = _required(route, by_type, schemas)
    parameters += [
        {"name": name, "in": "query", "required": name in required, "schema": in_query(name, properties[name])}
        for name in properties
        if name in binder.in_query
    ]
    if route.creates:
        parameters.append(_IDEMPOTENCY)
    operation: Json = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": list(_tags(route)),
        "parameters": parameters,
        "responses": _responses(route, by_type),
        "x-heldtrue-realm": route.realm.value,
        "x-heldtrue-cache": route.cache.value,
    }
    if route.needs is not None:
        operation["security"] = [{"key": []}]
        operation["x-heldtrue-permission"] = route.needs.value
    else:
        operation["security"] = []
    if route.audits is not None:
        operation["x-heldtrue-audit"] = route.audits
    body = _signed_body(route, by_type) if route.signed else _body(route, binder, properties, required)
    if body is not None:
        operation["requestBody"] = body
    return operation


_IDEMPOTENCY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent again within 24 hours: the same request gets the first answer, another one 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _path_names(route: Route) -> list[str]:
    return [part.split("}")[0].removesuffix(":path") for part in route.path.split("{")[1:]]


def _schema(route: Route, by_type: ByType, schemas: Json) -> Json:
    if route.takes is None:
        return {}
    reference: Json = by_type[route.takes]
    return schemas[reference["$ref"].rsplit("/", 1)[1]] if "$ref" in reference else reference


def _properties(route: Route, by_type: ByType, schemas: Json) -> Json:
    return _schema(route, by_type, schemas).get("properties", {})


def _required(route: Route, by_type: ByType, schemas: Json) -> list[str]:
    return _schema(route, by_type, schemas).get("required", [])


def _signed_body(route: Route, by_type: ByType) -> Json:
    schema: Json = {} if route.takes is None else by_type[route.takes]
    return {
        "required": True,
        "description": "Signed over these very bytes; the signature and the name of its key are in headers.",
        "content": {"application/json": {"schema": schema}},
    }


def _body(route: Route, binder: Binder, properties: Json, required: list[str]) -> Json | None:
    if route.streams and route.mutates and route.method != "DELETE" and not route.bodiless:
        return {
            "required": False,
            "description": "Any content type, or nothing; kept as it is sent. Attachments go as multipart/form-data.",
            "content": {
                "*/*": {"schema": _ANY_BODY},
                "application/json": {"schema": {}},
                "multipart/form-data": {
                    "schema": {"type": "object", "additionalProperties": _ANY_BODY, "minProperties": 1}
                },
            },
        }
    members = {name: schema for name, schema in properties.items() if name in binder.in_body}
    if not members:
        return None
    needed = [name for name in required if name in members]
    schema: Json = {"type": "object", "properties": members, "additionalProperties": False}
    if needed:
        schema["required"] = needed
    kinds = ("application/json", FORM) if route.form else ("application/json",)
    return {"required": bool(needed), "content": {kind: {"schema": schema} for kind in kinds}}


def _kinds(route: Route) -> list[type[HeldtrueError]]:
    """Return the kinds of refusal that a caller of *route* may meet."""
    kinds: list[type[HeldtrueError]] = [MalformedRequestError, LimitedError, UnavailableError]
    if route.signed or (route.realm is Realm.PUBLIC and "{" in route.path):
        kinds.append(DeniedError)
    if route.needs is not None:
        kinds += [UnauthenticatedError, DeniedError]
    if (
        "{" in route.path or route.takes is not None or route.path in {"/metrics", "/trust/documents/agreement"}
    ):  # what is named may not be there
        kinds.append(NotFoundError)
    named = "{" in route.path or (route.takes is not None and route.method != "GET")
    if route.creates or (named and route.realm is not Realm.PUBLIC):
        kinds.append(ConflictError)
    if route.takes is not None or route.streams:
        kinds.append(BadInputError)
    if route.method in {"POST", "PUT", "PATCH"}:
        kinds += [TooLargeError, UnsupportedMediaTypeError]
    return kinds


def _responses(route: Route, by_type: ByType) -> Json:
    success: Json = {"description": "Done.", "headers": _references("Request-Id", "traceparent")}
    produces = "*/*" if route.produces == "application/octet-stream" else route.produces  # as it came, so of any type
    if route.gives is not None:
        success["content"] = {produces: {"schema": by_type[route.gives]}}
    elif route.streams or route.realm is Realm.PUBLIC or route.produces != "application/json":
        success["content"] = {produces: {"schema": {}}}
    if route.realm in {Realm.TENANT, Realm.OPERATOR}:
        success["headers"] |= _references("RateLimit", "RateLimit-Policy")
    kinds = _kinds(route)
    problems: Json = {str(status_of(kind)): {"$ref": f"#/components/responses/{_name(kind)}"} for kind in kinds}
    if route.realm is Realm.PUBLIC and route.method == "GET":  # a page says itself what it cannot show
        for kind in (DeniedError, NotFoundError, BadInputError, UnavailableError):
            if str(status_of(kind)) in problems:
                response = _problem_response(kind)
                response["content"] = {**response["content"], produces: {"schema": {}}}
                problems[str(status_of(kind))] = response
    if route.form:  # a form is answered with a page, refusals included
        for kind in kinds:
            response = _problem_response(kind)
            response["content"] = {**response["content"], produces: {"schema": {}}}
            problems[str(status_of(kind))] = response
    return {str(route.status): success, **dict(sorted(problems.items()))}


def _name(kind: type[HeldtrueError]) -> str:
    return kind.__name__.removesuffix("Error")


def _problem_response(kind: type[HeldtrueError]) -> Json:
    names = ["Request-Id", "traceparent"]
    if kind in {LimitedError, UnavailableError}:
        names.append("Retry-After")
    return {
        "description": explain(kind),
        "headers": _references(*names),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _references(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _hook(kind: type) -> Json:
    if kind is Secret:
        return {"type": "string", "description": "Shown once."}
    raise TypeError(f"{kind.__name__} has no place in a wire type")
