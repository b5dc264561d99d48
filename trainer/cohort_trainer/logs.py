"""Logging of the command line: structlog to stderr, so that stdout stays for results."""

from __future__ import annotations

import enum
import logging
import sys


class LogFormat(enum.StrEnum):
    AUTO = "auto"
    """Lines for people on a terminal, JSON lines elsewhere."""
    CONSOLE = "console"
    JSON = "json"


def configure(log_format: LogFormat = LogFormat.AUTO, verbose: bool = False) -> None:
    """One event per line: a name and key/values, with level and UTC time."""
    import structlog

    as_json = log_format is LogFormat.JSON or (log_format is LogFormat.AUTO and not sys.stderr.isatty())
    renderer = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    processors = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        # Inside JSON a traceback is a string; on a terminal the console renderer lays it out.
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        # Asked for with every line: whoever replaces sys.stderr gets what follows.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
