"""The program that `warm` asks: it imports everything once, then forks a `heldtrue` for each request.

Usage: `python warm_server.py DESCRIPTOR`. A request is a JSON line {arguments, environment, directory} with two
descriptors: where the fork writes, and where this writes the fork's process id and later its exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import socket
import sys
import traceback
from pathlib import Path

LARGEST = 1 << 20
SKIPPED = ("heldtrue.sandbox.guest", "heldtrue.sandbox.jail", "heldtrue.__main__", "heldtrue.app.runner_main")
"""What is run in programs of its own."""


def main() -> None:
    """Serve until whoever asks is gone."""
    link = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    _import()
    gc.freeze()
    gc.enable()
    poll, running = select.poll(), dict[int, tuple[int, int]]()
    poll.register(link, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != link.fileno():
                poll.unregister(ready)
                _tell(ready, *running.pop(ready))
                continue
            asked, given, _, _ = socket.recv_fds(link, LARGEST, 2)
            if not asked:
                return
            output, report = given
            pid = os.fork()
            if pid == 0:
                for inherited in (link.detach(), report, *running, *(one[1] for one in running.values())):
                    os.close(inherited)
                os._exit(_become(json.loads(asked), output))
            os.close(output)
            os.write(report, f"{pid}\n".encode())
            ended = os.pidfd_open(pid)
            running[ended] = (pid, report)
            poll.register(ended, select.POLLIN)


def _import() -> None:
    import heldtrue

    names = [one.name for one in pkgutil.walk_packages(heldtrue.__path__, "heldtrue.", onerror=print)]
    for name in names:
        if not name.startswith(SKIPPED):
            importlib.import_module(name)


def _become(asked: dict[str, object], output: int) -> int:
    """Be `heldtrue` with the arguments, environment, directory and output that were asked for; return its status."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for done in {nothing, output} - {0, 1, 2}:
        os.close(done)
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    os.chdir(str(asked["directory"]))
    sys.argv = ["heldtrue", *asked["arguments"]]  # type: ignore[misc]
    Path("/proc/self/comm").write_text("heldtrue")
    from heldtrue.app.cli import main as heldtrue

    try:
        sys.exit(heldtrue())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the last line of a process
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _tell(ended: int, pid: int, report: int) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(ended)
    with contextlib.suppress(BrokenPipeError):
        os.write(report, f"{status}\n".encode())
    os.close(report)


if __name__ == "__main__":
    main()
