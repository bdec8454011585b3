"""What every command that talks to an instance needs: its address, its authority, a credential, and an output."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from heldtrue.app import instance
from heldtrue.app.cli.client import Api
from heldtrue.app.cli.output import Output
from heldtrue.app.instance import DataDir
from heldtrue.app.secret_uri import resolve_secret
from heldtrue.kernel.errors import SettingsError

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="The instance's data directory.", show_default=False)
]
UrlOption = Annotated[str | None, typer.Option("--url", help="The instance's URL, when it is not on this machine.")]
CaOption = Annotated[Path | None, typer.Option("--ca-file", help="PEM authorities that vouch for the instance.")]
CredentialOption = Annotated[
    Path | None, typer.Option("--credential-file", help="A file (mode 0600) that holds the API key.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_URL = "https://127.0.0.1:8443"


@dataclass(frozen=True, slots=True)
class Session:
    """One command's dealings with one instance."""

    data: DataDir
    out: Output
    url: str
    ca_file: Path | None
    credential_file: Path | None

    def api(self) -> Api:
        """Return the API with the credential that was named."""
        if self.credential_file is None:
            raise SettingsError(
                "this command needs an organisation's key",
                advice="Write the key into a file with mode 0600 and name it with --credential-file.",
            )
        return Api(self.url, self.ca_file, resolve_secret(f"file:{self.credential_file}"))

    def operator(self) -> Api:
        """Return the API with the operator's credential: the one that was named, or this machine's own."""
        path = self.credential_file or self.operator_file()
        return Api(self.url, self.ca_file, resolve_secret(f"file:{path}"))

    def public(self) -> Api:
        """Return the API without a credential."""
        return Api(self.url, self.ca_file, None)

    def operator_file(self) -> Path:
        """Return where the first start wrote the operator's credential."""
        if (noted := instance.noted(self.data).get("operator_file")) is not None:
            return Path(noted)
        from heldtrue.app.boot import key_uri  # the server's parts, for an instance that does not run
        from heldtrue.app.maintenance import settings_of

        identity = instance.load(self.data)
        if identity is None:
            raise SettingsError(
                f"{self.data.root} has never been started", advice="Run `heldtrue up`, or name another --data-dir."
            )
        settings = settings_of(self.data, None)
        return Path(key_uri(settings, identity).removeprefix("file:")).with_suffix(".operator")

    def save(self, secret: str, path: Path) -> None:
        """Write *secret* to a new file that nobody else can read."""
        if path.exists():
            raise SettingsError(f"{path} exists already", advice="Choose another name; it is not overwritten.")
        instance.write_durably(path, f"{secret}\n".encode(), 0o600)


def open_session(
    data_dir: Path | None, url: str | None, ca_file: Path | None, credential_file: Path | None, *, as_json: bool
) -> Session:
    """Return a session; address and authority come from the data directory when they are not named."""
    data = DataDir((data_dir or instance.default_data_dir()).expanduser().absolute())
    if url is None:
        url = serving(data) or DEFAULT_URL
        local = data.tls / "ca.pem"
        ca_file = ca_file or (local if local.exists() else None)
    return Session(data, Output(as_json=as_json), url, ca_file, credential_file)


def serving(data: DataDir) -> str | None:
    """Return the address that the running instance wrote down, if there is one."""
    return instance.noted(data).get("url")


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "data_dir": (DataDirOption, None),
    "url": (UrlOption, None),
    "ca_file": (CaOption, None),
    "credential_file": (CredentialOption, None),
    "as_json": (JsonOption, False),
}


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function whose first parameter is a `Session` to *app*, with the options that make one."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        hints = typing.get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
        parameters += [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (kind, default) in _OPTIONS.items()
        ]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            session = open_session(*(given.pop(option) for option in list(_OPTIONS)[:4]), as_json=given.pop("as_json"))
            function(session, **given)

        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__  # pyright: ignore[reportFunctionMemberAccess] - typer would look at the original's parameters
        return cast("Callable[..., None]", app.command(name)(run))

    return add
