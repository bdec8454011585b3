"""Logs are JSON lines without what no log may hold."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator

import pytest
import structlog

from heldtrue.app import logs


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_what_no_log_may_hold_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger("x").warning("told", token="abc", Authorization="abc", body=b"abc", size=3)
    line = json.loads(capsys.readouterr().err)
    assert {name: value for name, value in line.items() if name != "timestamp"} == {
        "event": "told",
        "level": "warning",
        "size": 3,
    }


def test_requests_are_logged_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger("x").info("request")
    assert capsys.readouterr().err == ""
    logs.configure(verbose=True)
    structlog.get_logger("x").info("request")
    assert json.loads(capsys.readouterr().err)["event"] == "request"


def test_a_librarys_warning_is_a_json_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    try:
        raise ValueError('with "quotes"')
    except ValueError:
        logging.getLogger("asyncio").exception("it %s", "broke")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["logger"], line["level"]) == ("it broke", "asyncio", "error")
    assert 'ValueError: with "quotes"' in line["exception"]
