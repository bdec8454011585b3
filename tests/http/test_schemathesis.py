"""Schemathesis over the whole OpenAPI document, with every check that it has, authentication and object ownership too.

The document is generated from the tables that requests are routed by, so a disagreement is a fault of one of them.
`EXAMPLES` in the environment makes it longer (`make fuzz`); `SEED` another one. Every failure names the seed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from whole import Belongings, Whole, furnish, needs_key, open_whole

from heldtrue.app.health import WATCHED
from heldtrue.capabilities.keystore.actions import sequencer
from heldtrue.db.roles import at_database
from heldtrue.http.openapi import template
from heldtrue.http.route import Realm, Route

EXAMPLES = int(os.environ.get("EXAMPLES", "2"))
LONG = 20
"""From so many examples on, every method that an operation does not have is tried, too."""
LOGGED = 8
"""So many events are followed by one publication of the log: it costs more than what was asked meanwhile."""
SEED = int(os.environ.get("SEED", "20261122"))
AUTHENTICATION = ("ignored_auth", "object_level_authorization", "missing_required_header", "unsupported_method")

UNSAYABLE = {
    "POST /v1/keys": "an expiry lies in the future, and scopes are among the role's",
    "POST /v1/organisations/{organisation_id}/keys": "the same",
    "POST /v1/endpoints": "an address is https and leads out of our own network",
    "POST /v1/probes": "a probe ends after it began",
    "POST /v1/payloads": "a part's name is printable",
    "PATCH /v1/endpoints/{endpoint_id}": "as when it is registered",
    "GET /v1/deliveries": "a moment is not empty",
    "POST /v1/deliveries/replays": "the same",
    "GET /v1/deliveries/replays/{replay_id}": "an id is of its kind",
    "GET /v1/deliveries/ledger": "a month is among the last years",
    "GET /v1/deliveries/ledger/plans": "the same",
    "GET /v1/runs": "an id is of its kind",
    "POST /v1/flows": "a flow that is enabled has steps, and its endpoints and transforms are there",
    "PATCH /v1/flows/{flow_id}": "the same",
    "POST /v1/flows/{flow_id}/enable": "the same",
    "POST /v1/registers": "a document is of its register's schema, and its dates make sense",
    "PUT /v1/registers/{register}/{item}": "the same",
    "GET /v1/registers/{register}": "a moment is not empty",
    "GET /v1/registers/{register}/{item}": "the same",
    "POST /v1/policies/adopt": "a text has no open placeholders",
    "POST /v1/objections/{objection_id}/response": "an id is of its kind",
    "POST /trust/sub-processors/subscribe": "an address can be in a mail",
    "POST /trust/documents/ask": "the same",
    "POST /trust/disclosure/report": "the same",
    "POST /v1/requests": "the same",
    "POST /v1/post/test": "the same",
    "POST /v1/credentials": "a host is one that can be called",
    "PUT /v1/credentials/{credential_id}": "the same",
    "GET /v1/credentials/{credential_id}": "an id is of its kind",
    "DELETE /v1/credentials/{credential_id}": "the same",
    "PUT /v1/transforms/{transform_id}/egress": "a rule names credentials and hosts that there are",
    "POST /v1/questionnaires": "a file is a table",
    "POST /v1/findings/{finding_id}/accept": "a day lies in the future",
    "POST /v1/evidence": "an envelope is signed by a key that is registered",
    "POST /v1/evidence/keys": "a key is a point of the curve",
    "GET /trust/changes": "the first date comes before the second",
    "GET /trust/changes.json": "the same",
    "POST /v1/agreements": "a day lies in the past, and a file is a document",
    "POST /v1/requests/{ask_id}/grant": "a grant ends in the future",
}
"""Operations that refuse (422) what the document allows, because JSON Schema cannot say the rule."""
ANYTHING = {
    "POST /v1/transforms/{transform_id}/test": "a sample is any bytes",
    "POST /trust/disclosure/report": "a report is taken as it was written",
}
"""Operations that take what the document would not: nobody is sent away for how a sheet was filled in."""
NOT_YET = {"GET /v1/audit/{leaf_id}/proof": "an entry waits for its index: 503 with Retry-After"}
"""Operations whose 503 says that something is not there yet."""
SERVED = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]


@dataclass
class Run:
    """What a run of schemathesis did and found."""

    checked: Counter[str] = field(default_factory=Counter)
    """By check: how often."""
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    """By operation: statuses."""
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    name = server.create()
    with open_whole(at_database(server.roles, name), tmp_path_factory.mktemp("schemathesis")) as opened:
        yield opened
    server.drop(name)


@pytest.fixture(scope="module")
def run(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fuzz(whole, tmp_path_factory.mktemp("identities"))


def fuzz(whole: Whole, directory: Path) -> Run:
    """Attack every operation as two organisations that must not see each other, and as the operator."""
    mine, other = furnish(whole, "mine"), furnish(whole, "other")
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", whole.house.app, config=_config(_identities(whole, mine, other, directory))
    )
    upstream = whole.house.operator.post("/v1/upstream-keys", {"upstream": "fuzzed"}).json()["id"]
    mine.names.setdefault("upstream_key_id", upstream)
    own = {whole.house.caller(one.key).get("/v1/self").json()["id"] for one in (mine.admin, other.admin)}
    log = sequencer(
        whole.parts.database, whole.parts.ground.home.data.log, whole.parts.ground.home.platform, whole.house.clock
    )

    @schema.hook
    def filter_case(context: Any, case: Any) -> bool:
        """Leave out cases that would revoke the very key they are sent with; let the worker's parts come round."""
        for part in WATCHED:
            whole.parts.ground.pulse.beat(part)
        return not own & {value for value in (case.path_parameters or {}).values() if isinstance(value, str)}

    given: Counter[str] = Counter()

    spare = _spare(mine)

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        """Ask every second time about a thing that exists, where the path is not what is being tried."""
        label = case.operation.label
        given[label] += 1
        sound = case.meta is not None and not case.meta.is_negative_at(ParameterLocation.PATH)
        if case.path_parameters and sound and given[label] % 2:
            ends = label.startswith("DELETE") or label.endswith(("/roll", "/disable"))
            known = {**mine.names, **(spare if ends else {})}.items()
            case.path_parameters.update((name, value) for name, value in known if name in case.path_parameters)

    found = Run()
    schemathesis.hook(before_call)
    try:
        for number, event in enumerate(from_schema(schema).execute()):
            if isinstance(event, events.ScenarioFinished):
                if not number % LOGGED:
                    log.step()
                _note(found, event)
            elif isinstance(event, events.NonFatalError):
                found.faults.append(f"{event.label}: {event.value}")
            elif isinstance(event, events.FatalError):
                found.faults.append(f"fatal: {event.exception!r}")
    finally:
        schemathesis.hooks.unregister(before_call)
    return found


def _spare(mine: Belongings) -> dict[str, str]:
    """Return things that may be ended without being missed."""
    made = {
        "key_id": mine.admin.post("/v1/keys", {"name": "spare", "role": "reader"}),
        "endpoint_id": mine.admin.post("/v1/endpoints", {"url": "https://127.0.0.1:9/spare"}),
        "payload_id": mine.admin.post("/v1/payloads", {"spare": True}),
    }
    return {name: got.json()["id"] for name, got in made.items()}


def _identities(whole: Whole, mine: Belongings, other: Belongings, directory: Path) -> Path:
    """Write who may call, in the format of Web Fuzzing Commons."""
    keys = {"mine": mine.admin.key, "operator": whole.house.operator.key, "other": other.admin.key}
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in keys.items()
    ]
    path = directory / "identities.json"
    path.write_text(json.dumps({"schemaVersion": "0.2.0", "auth": users}))
    return path


def _config(identities: Path) -> SchemathesisConfig:
    unsayable = [
        {"include-name": at, "checks": {"positive_data_acceptance": {"expected-statuses": [*SERVED, "422"]}}}
        for at in UNSAYABLE
    ]
    not_yet = [
        {"include-name": at, "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]}}}
        for at in NOT_YET
    ]
    anything = [
        {"include-name": at, "checks": {"negative_data_rejection": {"enabled": False}}}
        for at in ANYTHING
        if at not in UNSAYABLE
    ]
    for one in unsayable:
        if one["include-name"] in ANYTHING:
            one["checks"]["negative_data_rejection"] = {"enabled": False}
    methods = {"unexpected-methods": ["PATCH", "TRACE"]} if EXAMPLES < LONG else {}
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "cache": {"enabled": False},
            "auth": {"wfc": {"path": str(identities), "peers": ["mine", "other"]}},
            "operations": [*unsayable, *not_yet, *anything],
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none", "no-shrink": True},
            "phases": {"coverage": methods, "stateful": {"generation": {"max-examples": EXAMPLES}, "max-steps": 6}},
            "continue-on-failure": True,
        }
    )


def _note(found: Run, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for case_id, node in recorder.cases.items():
        exchange = recorder.interactions.get(case_id)
        if exchange is not None and exchange.response is not None:
            statuses = found.answers.setdefault(node.value.operation.label, Counter())
            statuses[exchange.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            found.checked[check.name] += 1
            if check.failure_info is not None:
                failure, request = check.failure_info.failure, check.failure_info.code_sample
                label = recorder.cases[case_id].value.operation.label
                found.faults.append(f"{label}: {check.name}: {failure.title}: {failure.message}\n    {request}")


def _label(route: Route) -> str:
    return f"{route.method} {template(route)}"


def test_the_document_and_the_product_agree_under_every_check(run: Run) -> None:
    assert not run.faults, f"seed {SEED}: {len(run.faults)} disagreements\n" + "\n".join(sorted(set(run.faults)))


def test_every_check_was_made_on_every_operation(whole: Whole, run: Run) -> None:
    operations = {_label(route) for route in whole.table}
    assert set(run.answers) == operations - {"GET /openapi.json"}  # which is read once, to begin with
    # `max_response_time` has no limit set here; every other check that this version has
    assert set(run.checked) == set(schemathesis.checks.CHECKS.get_all_names()) - {"max_response_time"}
    assert set(AUTHENTICATION) <= set(run.checked)


def test_operations_were_served_to_somebody(whole: Whole, run: Run) -> None:
    """A run in which everything was refused would prove nothing: the checks of authentication begin with a success.

    409 and 422 come after authorisation: somebody was let in, and the thing or the values stood in the way.
    """
    locked = [
        route for route in whole.table if needs_key(route) and route.realm is not Realm.OPERATOR
    ]  # the operator's own are called, and served, by the route laws
    let_in = [route for route in locked if {200, 201, 202, 409, 422} & run.answers[_label(route)].keys()]
    served = [route for route in locked if {200, 201, 202} & run.answers[_label(route)].keys()]
    assert [route.at for route in locked if route not in let_in] == []
    assert len(served) >= len(locked) * 0.9, [route.at for route in locked if route not in served]
