"""The command line: `heldtrue …`. Exit codes: 0 done, 1 refused or failed, 2 unusable input."""

from __future__ import annotations

import importlib
import os
import sys

import typer
from typer.exceptions import TyperException

from heldtrue.app.cli.output import complain
from heldtrue.kernel.errors import BadInputError, HeldtrueError, SettingsError

INTERRUPTED = 130


THIN = {
    "orgs": "registers",
    "keys": "registers",
    "endpoints": "endpoints",
    "payloads": "payloads",
    "deliveries": "deliveries",
    "transforms": "transforms",
    "flows": "transforms",
    "addresses": "mail",
    "portal": "portal",
    "registers": "entries",
    "vendors": "vendors",
}
"""Groups of commands that only talk to an instance, and their modules: they start without loading the server."""


def main() -> None:
    """Run the command line and exit."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked in THIN:
        cli = frame()
        cli.add_typer(getattr(importlib.import_module(f"heldtrue.app.cli.{THIN[asked]}"), asked), name=asked)
    else:
        from heldtrue.app.cli.commands import cli
    sys.exit(run(cli))


def frame() -> typer.Typer:
    """Return the command line without its commands."""
    return typer.Typer(
        name="heldtrue",
        help="The security backbone of a company that sells an API, and the page that proves it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )


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
