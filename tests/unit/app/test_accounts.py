"""What a child is after it was confined: somebody else, for good, with nothing left of its parent's rights."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from heldtrue.app.accounts import service_account
from heldtrue.kernel.errors import SettingsError

PROGRAM = """
import json, os, resource, signal
from heldtrue.app.accounts import Account
from heldtrue.app.processes import ask

def told() -> bytes:
    try:
        os.setresuid(0, 0, 0)
        back = os.geteuid() == 0
    except PermissionError:
        back = False
    status = dict(line.split(":\\t", 1) for line in open("/proc/thread-self/status").read().splitlines())
    return json.dumps({
        "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(), "back": back,
        "capabilities": int(status["CapEff"], 16), "no_new_privileges": status["NoNewPrivs"],
        "core": resource.getrlimit(resource.RLIMIT_CORE), "umask": status["Umask"],
        "handler": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    }).encode()

signal.signal(signal.SIGTERM, lambda *_: None)
account = Account("nobody", 65534, 65534) if os.geteuid() == 0 else None
print(ask(told, account).decode())
"""


def confined(**how: object) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, **how)  # type: ignore[call-overload]
    return json.loads(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to drop to")
def test_roots_child_keeps_nothing_of_root() -> None:
    told = confined(extra_groups=[4, 20])
    assert told["uids"] == told["gids"] == [65534, 65534, 65534]
    assert told["groups"] == []
    assert told["capabilities"] == 0
    assert told["back"] is False


def test_every_child_gains_nothing_and_leaves_no_core() -> None:
    told = confined()
    assert told["no_new_privileges"] == "1"
    assert told["core"] == [0, 0]
    assert told["umask"] == "0077"
    assert told["handler"] is True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to drop to")
def test_the_service_user_is_not_root() -> None:
    with pytest.raises(SettingsError, match="is root"):
        service_account("root")


def test_an_ordinary_user_drops_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert service_account("heldtrue") is None
