"""Import everything before the fork: the service user may not be able to read the installation.

A clone or an interpreter below `/root` is mode 0700. Children are forked from a process that has read all modules,
templates and fonts, and open no file of the installation afterwards.
"""

from __future__ import annotations

import encodings
import gc
import importlib
import pkgutil
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

import structlog

import heldtrue
from heldtrue.app import disclosing
from heldtrue.app.publication import known
from heldtrue.app.services import s3_client
from heldtrue.app.settings import Settings
from heldtrue.app.settings_leaks import reporters
from heldtrue.app.settings_site import theme_of
from heldtrue.kernel import structs

LATE = (
    # what the standard library and our dependencies import in the middle of work
    "_strptime",
    "aiohttp.resolver",
    "asyncio.base_events",
    "asyncio.selector_events",
    "asyncio.sslproto",
    "asyncio.taskgroups",
    "asyncio.unix_events",
    "concurrent.futures.thread",
    "dns.nameserver",
    "dns.rdtypes.ANY.CNAME",
    "dns.rdtypes.ANY.MX",
    "dns.rdtypes.ANY.NS",
    "dns.rdtypes.ANY.OPT",
    "dns.rdtypes.ANY.PTR",
    "dns.rdtypes.ANY.SOA",
    "dns.rdtypes.ANY.TXT",
    "dns.rdtypes.IN.A",
    "dns.rdtypes.IN.AAAA",
    "email.mime.text",
    "fontTools.agl",
    "fontTools.ttLib.tables.O_S_2f_2",
    "fontTools.ttLib.tables._f_p_g_m",
    "fontTools.ttLib.tables._g_a_s_p",
    "fontTools.ttLib.tables._h_h_e_a",
    "fontTools.ttLib.tables._l_o_c_a",
    "fontTools.ttLib.tables._p_r_e_p",
    "http.cookies",
    "json.tool",
    "linecache",
    "mimetypes",
    "multiprocessing.connection",
    "netrc",
    "psycopg._cmodule",
    "psycopg.types.datetime",
    "psycopg.types.json",
    "psycopg_pool",
    "queue",
    "stringprep",
    "traceback",
    "unicodedata",
    "uuid",
    "uvloop",
    "zoneinfo",
)
VALKEY = ("redis", "redis.backoff", "redis.retry")
SKIPPED = (
    "heldtrue.app.cli",
    "heldtrue.app.runner_main",
    "heldtrue.sandbox.guest",
    "heldtrue.sandbox.jail",
    "heldtrue.__main__",
)
"""Commands, and what runs in programs of their own."""
FOREIGN = ("encodings.mbcs", "encodings.oem")
"""Codecs of other systems."""

_log = structlog.get_logger("heldtrue.preload")


def everything(settings: Settings) -> int:
    """Import every module of ours and what they import late; return how many of ours there are.

    What is there then is left out of later collections, so that forked processes share its memory (`gc.freeze`).
    """
    gc.disable()
    ours = [name for name in _below(heldtrue.__path__, "heldtrue.") if not name.startswith(SKIPPED)]
    codecs = [name for name in _below(encodings.__path__, "encodings.") if name not in FOREIGN]
    for name in (*ours, *codecs, *LATE):
        importlib.import_module(name)
    if settings.objects.store != "local":
        s3_client(settings.objects.endpoint, settings.objects.region)
    if settings.edge.valkey is not None:
        for name in VALKEY:
            importlib.import_module(name)
    reporters(settings.leaks)
    disclosing.warm(settings, datetime.now(UTC))
    known(settings)
    theme_of(settings.site)
    structs.complete()
    gc.freeze()
    gc.enable()
    return len(ours)


def tell_late_imports() -> None:
    """Log every import from now on; in a child it may fail on a machine where it works on another."""
    sys.meta_path.insert(0, _Late())


class _Late(MetaPathFinder):
    """Finds nothing, and says that somebody looked."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """Say that *fullname* was not there yet."""
        _log.warning("imported late", module=fullname)
        return None


def _below(path: Iterable[str], prefix: str) -> list[str]:
    return [module.name for module in pkgutil.walk_packages(path, prefix)]
