"""Two runs at the same moment: what one sees of the other, with which layers.

With all layers they are of two tenants. With fewer they are of one: the children of one zygote lie at the same
addresses, and so have the better chances against each other.
"""

from __future__ import annotations

from typing import Any

import pytest
from probe_law import Lane
from probe_table import ALL, code_of

SEEN = {"files", "process", "memory", "socket"}
ONCE = {"single_use"}
# each layer of each sight stands alone somewhere; an ordinary user's namespaces bring the user namespace along
CASES: list[tuple[set[str], set[str]]] = [
    (set(), set()),
    ({"net", "landlock_files"}, {"files", "process", "memory", "socket"}),
    ({"mount", "landlock_scope"}, {"files", "process", "memory", "socket"}),
    ({"user"}, {"memory"}),
    ({"seccomp"}, {"memory", "socket"}),
    (set(ALL), SEEN),
]


def at_once(lane: Lane, layers: set[str], patience: float) -> tuple[set[str], float]:
    """Run both tenants; return what the one saw, and for how many seconds they ran side by side."""
    context = {
        **lane.runner.base,
        "patience": patience,
        "mark": f"nb{lane.outside.canary[:8]}",
        "key": lane.outside.key + 2,
    }
    pair = [
        {
            "code": code_of("tenants"),
            "context": {**context, "attack": attack},
            "tenant": tenant,
            "limits": {"wall_ms": 60_000},
        }
        for attack, tenant in (
            ("stay", "tenant-a"),
            ("neighbour", "tenant-b" if len(layers) == len(ALL) else "tenant-a"),
        )
    ]
    stand = {name: name in layers | ONCE for name in ALL}
    ((stayed, looked),) = lane.runner.ask({"do": "engine", "layers": stand, "jobs": [pair], "pool": 2})["answers"]
    a, b = stayed["value"]["got"], looked["value"]["got"]
    return set(b[2]), min(a[1], b[1]) - max(a[0], b[0])


@pytest.mark.parametrize(
    ("layers", "stopped"), CASES, ids=lambda names: "-".join(sorted(names)) if len(names) < 5 else "all"
)
def test_a_tenant_sees_of_its_neighbour_what_no_layer_hides(lane: Lane, layers: set[str], stopped: set[str]) -> None:
    for patience in (0.3, 3.0, 15.0):
        seen, together = at_once(lane, layers, patience)
        assert not seen & stopped
        if seen == SEEN - stopped and (seen or together > 0.1):
            break
    else:
        pytest.fail(f"of {sorted(SEEN - stopped)} it saw {sorted(seen)}, in {together:.1f} s side by side")


def test_what_a_tenant_left_in_its_process_never_reaches_another(lane: Lane) -> None:
    """Without single use a process serves again: the same tenant, never a second one."""
    context: dict[str, Any] = {**lane.runner.base, "mark": "global-of-a", "key": lane.outside.key + 3}
    jobs = [
        {"code": code_of("tenants"), "context": {**context, "attack": attack}, "tenant": tenant}
        for attack, tenant in (
            ("leave", "tenant-a"),
            ("previous_globals", "tenant-a"),
            ("previous_globals", "tenant-b"),
        )
    ]
    answers = lane.runner.ask({"do": "engine", "layers": dict.fromkeys(ALL, False), "jobs": jobs})["answers"]
    assert answers[1]["value"]["got"] == "here"
    assert answers[2]["value"]["got"] is None
