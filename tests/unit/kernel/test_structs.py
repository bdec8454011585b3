"""Types are whole before threads read them. What happens otherwise ends a process, so each case has one of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

KINDS = 12
RACE = f"""
import sys, threading, types
import msgspec
from heldtrue.kernel import structs

sys.setswitchinterval(1e-6)

def race(number):
    module = types.ModuleType(f"types_{{number}}")
    sys.modules[module.__name__] = module
    inner = "".join(f"class B{{n}}(msgspec.Struct):\\n    x: 'int' = 0\\n" for n in range({KINDS}))
    outer = "class A(msgspec.Struct):\\n" + "".join(f"    f{{n}}: 'B{{n}} | None' = None\\n" for n in range({KINDS}))
    exec("import msgspec\\n" + inner + outer, module.__dict__)
    if sys.argv[1] == "whole":
        assert structs.complete() >= {KINDS}
    told = ("{{" + ",".join(f'"f{{n}}":null' for n in range({KINDS})) + "}}").encode()
    ready = threading.Barrier(4)

    def read():
        ready.wait()
        for _ in range(3):
            msgspec.json.decode(told, type=module.A)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

for number in range(int(sys.argv[2])):
    race(number)
"""
PRELOADED = """
import msgspec
seen = []

def mark():
    seen.append(1)
    return int

class Late(msgspec.Struct):
    x: "mark()"

from heldtrue.app import preload
from heldtrue.app.settings import Settings
preload.everything(Settings())
assert seen, "nobody derived how it is read"
"""


def run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", *arguments], timeout=120, check=False).returncode


def test_threads_read_types_that_are_whole() -> None:
    assert run(RACE, "whole", "60") == 0


def test_without_that_they_take_the_process_with_them() -> None:
    """When this stops failing, msgspec is mended, and `structs` can go."""
    assert run(RACE, "as they come", "3000") == -signal.SIGSEGV


@pytest.mark.timeout(120)
def test_every_process_of_an_instance_is_forked_from_one_that_has_seen_to_it() -> None:
    assert run(PRELOADED) == 0
