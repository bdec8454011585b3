"""Logs: JSON lines on standard error; never a body, a header, a token or a name."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import structlog

HIDDEN = frozenset({"authorization", "token", "secret", "password", "credential", "body", "headers", "dsn"})


class JsonLines(logging.Formatter):
    """The standard library's records in the same form as ours; libraries log little, and only from WARNING up."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        told = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


def configure(*, verbose: bool = False) -> None:
    """Send structlog and the standard library's warnings to standard error, one JSON object a line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if verbose else logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # It warns of every transaction that was rolled back, which is how a refused request ends.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def hide(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Drop what no log may hold, should a caller pass it."""
    return {name: value for name, value in event.items() if name.lower() not in HIDDEN}
