"""Hostile runs that no layer stops, because the runner's own rules do: how each is made, and how it may end."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from probe_table import code_of

MIB = 1 << 20
ENDED = frozenset({"error", "crashed"})
QUICK = {"wall_ms": 400}


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One run and the outcomes by which it may end."""

    name: str
    attack: str
    ends: frozenset[str]
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: dict[str, int] = field(default_factory=dict[str, int])
    theme: str = "bombs"

    def __str__(self) -> str:
        return self.name

    def job(self, base: dict[str, Any]) -> dict[str, Any]:
        """Return the run for a runner whose facts are *base*."""
        mark = {"mark": f"hostile-{self.name}"[:15], "wait": 10}
        return {
            "code": code_of(self.theme),
            "context": {**base, "attack": self.attack, **self.context},
            "limits": {"wall_ms": 20_000, **self.limits},
            **mark,
        }


def frame(kind: bytes, body: bytes = b"", length: int | None = None) -> str:
    """Return a frame of the runner's protocol in hexadecimal, its length forged where asked for."""
    return (kind + struct.pack(">I", len(body) if length is None else length) + body).hex()


def garbage(name: str, ends: frozenset[str], data: str, **context: Any) -> Hostile:
    """Return a run that writes *data* (hexadecimal) to every descriptor."""
    return Hostile(
        name=name, attack="garbage", ends=ends, context={"garbage": data, **context}, limits={"wall_ms": 5_000}
    )


DEEP = b"[" * 30_000
HOSTILE = [
    Hostile(name="sleeping", attack="sleep", ends=frozenset({"timeout"}), context={"seconds": 60}, limits=QUICK),
    Hostile(name="spinning", attack="spin", ends=frozenset({"timeout"}), context={"seconds": 60}, limits=QUICK),
    Hostile(name="deaf", attack="deaf", ends=frozenset({"timeout"}), context={"seconds": 60}, limits=QUICK),
    Hostile(
        name="large_output",
        attack="output_flood",
        ends=frozenset({"output"}),
        context={"bound": 2 * MIB},
        limits={"output_bytes": MIB},
    ),
    Hostile(name="many_logs", attack="log_flood", ends=frozenset({"ok"}), context={"bound": MIB}),
    Hostile(name="standard_output", attack="descriptor_flood", ends=frozenset({"ok"}), context={"bound": 64 * MIB}),
    Hostile(name="recursion", attack="recursion", ends=ENDED | {"memory", "timeout"}, limits={"memory": 64 * MIB}),
    Hostile(name="nested_answer", attack="nested_answer", ends=ENDED, context={"bound": 200_000}),
    Hostile(name="segfault", attack="segfault", ends=frozenset({"crashed"})),
    Hostile(name="abort", attack="abort", ends=frozenset({"crashed"})),
    Hostile(name="leaving_early", attack="leave_early", ends=frozenset({"crashed"})),
    garbage("noise", frozenset({"crashed"}), "ff" * 4096),
    garbage("noise_then_exit", frozenset({"crashed"}), "00" * 7, then="exit"),
    garbage("huge_length", frozenset({"output", "crashed"}), frame(b"O", b"x", 0xFFFF_FFFF)),
    garbage("half_a_frame", frozenset({"crashed"}), frame(b"O", b"x", 1000), then="exit"),
    garbage("unknown_outcome", frozenset({"crashed"}), frame(b"E", b'["refused", null]')),
    garbage("outcome_of_another_type", frozenset({"crashed"}), frame(b"E", b'[{"a": 1}, 5]')),
    garbage("outcome_in_depth", frozenset({"crashed"}), frame(b"E", DEEP)),
    garbage("output_in_depth", frozenset({"crashed"}), frame(b"O", DEEP)),
    garbage("output_that_is_no_json", frozenset({"crashed"}), frame(b"O", b"{")),
    garbage("output_of_nan", frozenset({"crashed"}), frame(b"O", b"NaN")),
    garbage("output_that_is_no_text", frozenset({"crashed"}), frame(b"O", b'"\xff"')),
    garbage("second_readiness", frozenset({"crashed"}), frame(b"R")),
    garbage("forged_refusal", frozenset({"crashed", "error"}), frame(b"F", b'["root", "forged"]')),
    garbage("empty_frames", frozenset({"crashed", "output"}), frame(b"C") * 8192, times=200),
    garbage("forged_logs", frozenset({"crashed", "output"}), frame(b"L", b"x" * 8192), times=200),
    garbage(
        "amplifier",
        frozenset({"ok", "crashed"}),
        (b"O" + struct.pack(">I", 6_000_001) + b"[0").hex(),
        then_many=",[]",
        many=1_999_999,
    ),
    *[
        Hostile(name=f"returning_{kind}", attack="unusual", ends=ENDED | {"ok"}, context={"kind": kind})
        for kind in ("set", "nan", "surrogate", "odd", "keys", "self", "bytes", "huge", "liar", "exit", "interrupt")
    ],
]
HONEST: dict[str, Any] = {
    "code": "def transform(payload, context):\n    return {'honest': 1 + 1}\n",
    "context": {},
    "limits": {"wall_ms": 20_000},
}
