"""How the sidecar's processes log: one JSON object per line, on stderr unless told otherwise."""

import logging
import sys
from typing import TextIO

import structlog


def log_json(process: str, into: TextIO | None = None) -> None:
    """Log to stderr, or ``into`` a file, each line with its time (UTC), level and the process."""

    def name_process(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        return {"process": process, **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_process,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: structlog.WriteLogger(into or sys.stderr),
    )


def log_warnings() -> None:
    """Log only what needs attention, to stderr: for commands, whose answer is on stdout."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
