"""Logs: one line an event on stderr; JSON where stderr is no terminal."""

import logging
import sys
from typing import Any

import structlog


def configure_logs(service: str, *, as_json: bool | None = None) -> structlog.stdlib.BoundLogger:
    """Set logs up for this process and return its logger.

    Parameters
    ----------
    service
        Name that stands in every line.
    as_json
        JSON or text for people; by default JSON where stderr is no terminal.
    """
    if as_json is None:
        as_json = not sys.stderr.isatty()
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service=service)
    return logger
