"""Who shares the buckets out among processes and machines: PostgreSQL, or Valkey where there is one."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Sequence
from typing import LiteralString, cast

import psycopg
from psycopg.conninfo import make_conninfo

from heldtrue.capabilities.edge.leases import Ask, Grant
from heldtrue.capabilities.edge.rounds import LimiterUnavailableError
from heldtrue.db.tx import Database
from heldtrue.kernel.errors import SettingsError
from heldtrue.kernel.secret import Secret

TIMEOUT = 0.3
"""Seconds within which an authority answers, or is taken to be away."""
PREFIX = b"heldtrue:rate:"


# ---------------------------------------------------------------- PostgreSQL

_LEASE: LiteralString = """
SELECT l.granted, l.level
FROM heldtrue.lease(%b::bytea[], %b::int[], %b::double precision[], %b::int[]) WITH ORDINALITY AS l (granted, level, n)
ORDER BY l.n"""


class PgLessor:
    """Leases from `heldtrue.rate_buckets`, as the system role, over a connection of its own.

    Its commits do not wait for the disk: a database that crashes forgets what it gave out in the last half second,
    which may then be given out once more. Nothing is forgotten while it runs.
    """

    def __init__(self, system: Secret[str]) -> None:
        """*system* is the system role's DSN; connected with the first lease."""
        milliseconds = int(TIMEOUT * 1000)
        self._conninfo = Secret(
            make_conninfo(
                system.reveal(), connect_timeout=2, application_name="heldtrue limits",
                options=f"-c synchronous_commit=off -c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            )
        )  # fmt: skip
        self._connection: psycopg.Connection | None = None

    def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Return a grant for each of *asks*, in their order, in one round trip."""
        # In the order of their names, so that two processes which want the same buckets wait and never deadlock.
        order = sorted(range(len(asks)), key=lambda place: asks[place].bucket)
        ordered = [asks[place] for place in order]
        rows = self._rows(
            [
                [ask.bucket for ask in ordered], [ask.wants for ask in ordered],
                [ask.interval for ask in ordered], [ask.burst for ask in ordered],
            ]
        )  # fmt: skip
        grants = dict(zip(order, rows, strict=True))
        return [Grant(*grants[place]) for place in range(len(asks))]

    def abort(self) -> None:
        """Cut the connection, so that whoever waits for its answer is told."""
        connection = self._connection
        if connection is None or connection.closed:
            return
        try:
            with socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
        except (OSError, psycopg.OperationalError):
            return  # it was closed in this instant

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rows(self, columns: list[object]) -> list[tuple[int, float]]:
        try:
            connection = self._connection
            if connection is None or connection.closed:
                connection = psycopg.connect(self._conninfo.reveal(), autocommit=True, prepare_threshold=0)
                self._connection = connection
            return connection.execute(_LEASE, columns).fetchall()
        except psycopg.Error as error:
            self.close()
            raise LimiterUnavailableError("the database, which shares the limits out, does not answer") from error


def forget_full(database: Database, idle: float = 60.0) -> int:
    """Delete the buckets that have been full for *idle* seconds, which say no more than none would; return how many.

    A few at a time and none that is in use, so that no lease waits for it.
    """
    deleted = 0
    while True:
        with database.system() as tx:
            found = tx.execute(
                """DELETE FROM heldtrue.rate_buckets WHERE bucket IN (
                     SELECT bucket FROM heldtrue.rate_buckets
                     WHERE arrival < extract(epoch FROM clock_timestamp()) - %s::double precision
                     LIMIT 1000 FOR UPDATE SKIP LOCKED)""",
                [idle],
            )
        deleted += found
        if found == 0:
            return deleted


# ---------------------------------------------------------------- Valkey

_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local answer = {}
for i, key in ipairs(KEYS) do
  local wants, interval, burst = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local before = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + burst * interval)
  local room = math.max(0, math.floor(burst - (before - now) / interval + 1e-9))
  local granted = math.min(wants, room)
  local level = before - now + granted * interval
  if granted > 0 then
    redis.call('SET', key, string.format('%.17g', now + level), 'PX', math.ceil(level * 1000) + 1000)
  end
  answer[2*i-1], answer[2*i] = granted, string.format('%.17g', level)
end
return answer
"""
_AUTHORITIES = re.compile(r"ssl_ca_certs=/[^&;]+")


class ValkeyLessor:
    """Leases from Valkey or Redis: one script over all buckets, by the server's own clock.

    Let it evict nothing (`maxmemory-policy noeviction`): a bucket that is evicted is full again, as is every bucket
    after the server was restarted without what it had in memory.
    """

    def __init__(self, url: Secret[str]) -> None:
        """*url* is `redis://`, `rediss://` (TLS, verified) or `unix://`, with its password.

        With `?ssl_ca_certs=/path` the server is vouched for by those authorities instead of the system's. Other options
        are refused: some would leave the verification out.
        """
        scheme, _, rest = url.reveal().partition("://")
        scheme = {"valkey": "redis", "valkeys": "rediss"}.get(scheme, scheme)
        if scheme not in {"redis", "rediss", "unix"}:
            raise SettingsError(
                "edge.valkey does not hold the URL of a Valkey or Redis server",
                advice="Write `rediss://user:password@host:6379/0` into the file that it names.",
            )
        query = rest.partition("?")[2]
        if query and (scheme != "rediss" or not _AUTHORITIES.fullmatch(query)):
            raise SettingsError(
                "the URL that edge.valkey names has an option that is not taken",
                advice="Only `?ssl_ca_certs=/path` is, behind `rediss://`: the authorities that vouch for the server.",
            )
        import redis  # for those who have one
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        tls = {"ssl_min_version": ssl.TLSVersion.TLSv1_2, "ssl_check_hostname": True} if scheme == "rediss" else {}
        self._client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            f"{scheme}://{rest}", socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0), max_connections=1, **tls,
        )  # fmt: skip
        self._script = self._client.register_script(_SCRIPT)
        self._failure = redis.RedisError

    def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Return a grant for each of *asks*, in their order, in one round trip."""
        arguments = [text for ask in asks for text in (ask.wants, repr(ask.interval), ask.burst)]
        try:
            answer = cast("list[bytes]", self._script([PREFIX + ask.bucket for ask in asks], arguments))
        except self._failure as error:
            raise LimiterUnavailableError("Valkey, which shares the limits out, does not answer") from error
        return [Grant(int(granted), float(level)) for granted, level in zip(answer[::2], answer[1::2], strict=True)]

    def abort(self) -> None:
        """Return: every wait for the server ends by itself within `TIMEOUT`."""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
