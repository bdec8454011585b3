"""The listening socket and its certificate, both held by the supervisor and handed on to the web process by fork.

The socket is bound before anything else starts and without SO_REUSEPORT, so a taken port is an error and no connection
is lost while the web process is exchanged. Certificate and key reach the server through memory files: a key that only
root can read need not be readable for the service user.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from heldtrue.kernel.errors import SettingsError

BACKLOG = 1024


class PortTakenError(SettingsError):
    """Another program listens on this port; stop it, or choose another with --listen."""

    code = "port-taken"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *host* and *port*; raise `SettingsError` naming what is in the way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if family == socket.AF_INET:
            host = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4][0]  # pyright: ignore[reportAssignmentType]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise SettingsError(
            f"listen: {host} is not an address: {error.strerror}", advice="Name one of this machine's."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"port {port} on {host} is taken by another program", advice="Stop it, or choose another with --listen."
            ) from error
        advice = {
            errno.EACCES: "Start as root, or choose a port above 1023.",
            errno.EADDRNOTAVAIL: "Name an address of this machine.",
        }.get(error.errno or 0, "Choose another with --listen.")
        raise SettingsError(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}", advice=advice
        ) from error
    listener.set_inheritable(True)
    return listener


def free_port() -> int:
    """Return a port of loopback that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def bind_unix(path: Path, owner: tuple[int, int] | None) -> socket.socket:
    """Return a socket that listens at *path*, for its owner and group alone; one that nobody answers on is replaced.

    *owner* is the uid and gid that it goes to; None: this process's own.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_dead(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if owner is not None:
            os.chown(path, *owner, follow_symlinks=False)
        listener.listen(BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on unix:{path}: {error.strerror}",
            advice="Name a path in a directory that this user may write, or start as root.",
        ) from error
    listener.set_inheritable(True)
    return listener


def _remove_dead(path: Path) -> None:
    """Remove a socket that an ended copy left; raise `PortTakenError` where a program answers on it."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise PortTakenError(f"{path} is there and is no socket", advice="Name another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise PortTakenError(f"another program listens on unix:{path}", advice="Stop it, or name another path.")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and its key, in PEM, as read from their files at one moment."""

    chain: bytes
    key: bytes
    authorities: bytes = b""
    """Those that vouch for clients, in PEM."""

    def __repr__(self) -> str:
        return f"Certificate({len(self.chain)} bytes)"


@dataclass(slots=True)
class CertificateFiles:
    """Files that are watched; a pair that does not fit together is never handed on."""

    cert: Path
    key: Path
    authorities: Path | None = None
    """Of clients' certificates."""
    _seen: tuple[int, ...] = ()

    def read(self) -> Certificate:
        """Return what the files hold now; raise `SettingsError` when they cannot serve."""
        try:
            self._seen = self._stamp()
            authorities = b"" if self.authorities is None else self.authorities.read_bytes()
            pair = Certificate(self.cert.read_bytes(), self.key.read_bytes(), authorities)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
            if self.authorities is not None:
                _check_authorities(context, self.authorities, authorities)
        except ssl.SSLError as error:
            raise SettingsError(
                f"{self.cert} and {self.key} are not a certificate and its key: {error.reason or error}",
                advice="Give the PEM chain and its unencrypted PEM key.",
            ) from error
        except OSError as error:
            raise SettingsError(
                f"{error.filename or self.cert} cannot be read: {error.strerror}",
                advice="Check --tls-cert and --tls-key, and edge.client_ca.",
            ) from error
        return pair

    def changed(self) -> bool:
        """Return whether either file was replaced or written since `read`; a missing file is not a change yet."""
        try:
            return self._stamp() != self._seen
        except FileNotFoundError:
            return False

    def _stamp(self) -> tuple[int, ...]:
        found = [path.stat() for path in (self.cert, self.key, self.authorities) if path is not None]
        return tuple(part for stat in found for part in (stat.st_ino, stat.st_mtime_ns, stat.st_size))


def _check_authorities(context: ssl.SSLContext, path: Path, pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"edge.client_ca {path} holds no certificates", advice="Give the PEM authorities of your proxies."
        ) from error


def in_memory(content: bytes, name: str) -> str:
    """Return a path that this process alone can open, holding *content*."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(descriptor, content)
    return f"/proc/self/fd/{descriptor}"
