"""Start a zygote: leave root and the host's files, and exec a fresh interpreter with an empty environment.

Called as `python -c … launch CONTROL`, with one seqpacket socket whose first message says how.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from heldtrue.sandbox.jail import calls, root
from heldtrue.sandbox.jail.layers import Layers

COMMAND = (
    "import sys; sys.path.append(sys.argv[1]); from heldtrue.sandbox.jail.{module} import main; main(sys.argv[2:])"
)


def arguments(image: str, loader: str, python: str, module: str, rest: list[str]) -> list[str]:
    """Return the command line that starts *module* in the image's own interpreter, by the image's own loader."""
    libraries = f"{image}/usr/lib"
    return [
        f"{libraries}/{loader}", "--library-path", libraries, f"{image}/usr/bin/{python}", "-I", "-S", "-B",
        "-c", COMMAND.format(module=module), f"{libraries}/guest", *rest,
    ]  # fmt: skip


def main(given: list[str]) -> None:
    """Read the plan, build the zygote's own walls, and become the zygote."""
    channel = socket.socket(fileno=int(given[0]))
    plan = json.loads(channel.recv(65536))
    try:
        _become(plan, channel)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the engine must hear why
        layer = (
            "user namespace" if isinstance(error, calls.CallError) and error.call.startswith("unshare") else "zygote"
        )
        channel.send(json.dumps({"failed": layer, "why": f"{type(error).__name__}: {error}"}).encode())
    sys.exit(1)


def _become(plan: dict[str, object], channel: socket.socket) -> None:
    layers = Layers.of(plan["layers"])  # type: ignore[arg-type]
    where = str(plan["image"])
    os.chdir(where)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    if layers.service_user and os.geteuid() == 0:
        leave_root(int(str(plan["uid"])))
    uid, gid = os.geteuid(), os.getegid()
    if layers.mount:
        calls.unshare(calls.NEW_NS | (0 if uid == 0 and not layers.user else calls.NEW_USER))
        if not (uid == 0 and not layers.user):
            root.map_ids(proc, uid, gid)
            uid = gid = root.INSIDE
        root.enter_image()
        where = ""
    for descriptor in (proc, channel.fileno()):
        os.set_inheritable(descriptor, True)
    plan |= {"proc": proc, "uid": uid, "gid": gid, "libraries": f"{where}/usr"}
    rest = [str(channel.fileno()), json.dumps(plan)]
    line = arguments(where, str(plan["loader"]), str(plan["python"]), "zygote", rest)
    os.execve(line[0], line, {} if layers.empty_env else dict(os.environ))  # noqa: S606 - no shell, an absolute path


def leave_root(uid: int) -> None:
    """Become *uid* for good; stay inspectable by ourselves, or the maps of a user namespace could not be written."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    calls.prctl(calls.PR_SET_DUMPABLE, 1)
