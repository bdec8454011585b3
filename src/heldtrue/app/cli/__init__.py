"""The command line: `heldtrue …`. Exit codes: 0 done, 1 refused or failed, 2 unusable input."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable

import typer
from typer.exceptions import TyperException

from heldtrue.app.cli.output import complain
from heldtrue.kernel.errors import BadInputError, HeldtrueError, SettingsError

INTERRUPTED = 130
COMMANDS = {
    "up": "up",
    "demo": "demo",
    "doctor": "upkeep",
    "verify": "upkeep",
    "backup": "backups",
    "restore": "backups",
    "probe": "probe",
    "ports": "ports",
    "gate": "evidence",
    "lint": "lint",
    "renew-operator": "upkeep",
    "version": "upkeep",
    "uninstall": "upkeep",
}
"""Commands of one word, and the module that has each under its name."""
GROUPS = {
    "orgs": "registers",
    "keys": "registers",
    "edge": "edge",
    "endpoints": "endpoints",
    "payloads": "payloads",
    "addresses": "mail",
    "mail": "mail",
    "post": "post",
    "documents": "documents",
    "requests": "asked",
    "deliveries": "deliveries",
    "transforms": "transforms",
    "flows": "transforms",
    "credentials": "credentials",
    "portal": "portal",
    "registers": "entries",
    "vendors": "vendors",
    "reports": "reports",
    "disclosure": "reports",
    "advisories": "reports",
    "evidence": "evidence",
    "findings": "evidence",
    "log": "log",
    "claims": "claims",
    "questionnaire": "questionnaire",
    "agreements": "agreements",
}
"""Groups of commands, and the module that has each under its name."""
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--no-such-help"]}


def main() -> None:
    """Run the command line and exit; only what the command asked for needs is loaded."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    gc.disable()  # thousands of modules come, and nothing goes
    cli = commands([asked] if asked in COMMANDS or asked in GROUPS else [*COMMANDS, *GROUPS])
    gc.freeze()  # nor will it: no later collection needs to look
    gc.enable()
    sys.exit(run(cli))


def commands(names: Iterable[str]) -> typer.Typer:
    """Return the command line with the commands and groups of *names*."""
    from heldtrue.app.cli.session import command

    cli = typer.Typer(
        name="heldtrue",
        help="The security backbone of a company that sells an API, and the page that proves it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    cli.callback()(lambda: None)  # with a single command, its name is still to be given
    for name in names:
        module = importlib.import_module(f"heldtrue.app.cli.{COMMANDS.get(name) or GROUPS[name]}")
        if name in GROUPS:
            cli.add_typer(getattr(module, name), name=name)
        elif name in ("up", "verify"):  # they have options of their own only
            cli.command(name, context_settings=_PASSED_ON if name == "verify" else None)(getattr(module, name))
        else:
            command(cli, name)(getattr(module, name.replace("-", "_")))
    return cli


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
    except OSError as error:
        complain(BadInputError(f"{error.filename or 'the system'}: {error.strerror or error}"))
        return 1
    except HeldtrueError as error:
        complain(error)
        return 2 if isinstance(error, SettingsError | BadInputError) else 1
    return answer if isinstance(answer, int) else 0
