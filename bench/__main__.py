"""Run the benchmarks, all of them or those that are named: `python -m bench [NAME…]`."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "seals",
    "receipts",
    "log",
    "journal",
    "http",
    "journey",
    "intake",
    "mail",
    "sandbox",
    "deliveries",
    "decision",
    "edge",
    "flood",
    "claims",
)

if __name__ == "__main__":
    asked = sys.argv[1:] or NAMES
    unknown = set(asked) - set(NAMES)
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in asked:
        importlib.import_module(f"bench.{name}").main()
