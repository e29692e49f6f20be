"""JSON logs, one object a line, with what is bound to the running task: job_id, stage, attempt."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

# Not logged at any level: headers, signatures and addresses (by S3's libraries), addresses (by
# httpx and httpcore), pieces of forms, and the words of a prompt that CLIP does not read (by diffusers).
_LEAST = {
    **dict.fromkeys(("boto3", "botocore", "s3transfer", "urllib3", "httpx", "httpcore"), logging.WARNING),
    **dict.fromkeys(("python_multipart", "transformers"), logging.WARNING),
    "diffusers": logging.ERROR,
}
# These add handlers for stderr when they are imported.
_OWN_WAYS = ("diffusers", "transformers")


def configure(level: str, *, service: str) -> None:
    """Sends every log line, also of libraries, to stderr as one JSON object. service: the process, a field of each."""

    def add_service(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        # Not bound to a context: other threads have others.
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_service,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.EventRenamer("event"),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    _hush()


def bring_home() -> None:
    """Redirects the loggers of libraries that were imported after `configure`."""
    for name in _OWN_WAYS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    _hush()


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose events carry what is bound to the current task."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def _hush() -> None:
    for name, least in _LEAST.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))
