"""The command line: `heldtrue …`. Exit codes: 0 done, 1 refused or failed, 2 unusable input."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from heldtrue.app.cli.output import complain
from heldtrue.kernel.errors import BadInputError, HeldtrueError, SettingsError

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit."""
    from heldtrue.app.cli.commands import cli

    sys.exit(run(cli))


def run(cli: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run *cli* and return its exit code; every error of ours becomes one sentence."""
    try:
        answer = cli(arguments, standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        show = getattr(error, "show", None)
        if show is not None:
            show()
        else:
            print(error, file=sys.stderr)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us is gone; nothing is lost
        return 1
    except HeldtrueError as error:
        complain(error)
        return 2 if isinstance(error, SettingsError | BadInputError) else 1
    return answer if isinstance(answer, int) else 0
