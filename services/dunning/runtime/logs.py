"""Logs: one fact a line, with its ids, and never a name, an address or a body.

Every line names its service and instance. Lines of libraries go the same way.
"""

import logging
import sys
import traceback
from time import monotonic
from typing import Any, Literal

import structlog
from aiokafka.errors import KafkaError
from structlog.typing import Processor

Log = structlog.stdlib.BoundLogger
_LIBRARY_SECONDS = 10.0
_FRAMES_WITHOUT_LOCALS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # locals hold whole events


def configure_logs(log_format: Literal["json", "console"], level: str, service: str, instance_id: str) -> None:
    """Set up once, at the start of the process. Lines go to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.processors.ExceptionRenderer(_FRAMES_WITHOUT_LOCALS), structlog.processors.JSONRenderer()]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.addFilter(_Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "asyncio", "aiohttp"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # its pool tells of every failed try with a traceback
    structlog.contextvars.bind_contextvars(service=service, instance=instance_id)


class _Sparing(logging.Filter):
    """A Kafka client whose broker is away says so many times a second; once in a while is enough. What it says of
    producers and requests that we gave up on is nothing to anybody: we told it ourselves, in our own words."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "asyncio" and record.exc_info and isinstance(record.exc_info[1], KafkaError):
            return False
        if not record.name.startswith("aiokafka"):
            return True
        place = (record.name, record.lineno)
        if monotonic() - self._last.get(place, float("-inf")) < _LIBRARY_SECONDS:
            return False
        self._last[place] = monotonic()
        return True


def log_for(part: str) -> Log:
    """The logger of a part of the kernel or of a service.

    Modules ask for theirs when they are imported, before anything is configured; so it takes on its shape only with its
    first line. (`bind` would do so at once, and the line would know neither format nor level.)
    """
    log: Log = structlog.stdlib.get_logger(part, part=part)
    return log


def told(error: BaseException) -> dict[str, Any]:
    """An error that was raised over someone's data: what it is and where, without its message, which may quote them
    (a database shows the whole row that breaks a constraint)."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/services/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    named = {"constraint": getattr(error, "constraint_name", None), "sqlstate": getattr(error, "sqlstate", None)}
    kind = type(error)
    return {
        "error": f"{kind.__module__}.{kind.__qualname__}",
        "where": where,
        **{name: value for name, value in named.items() if value},
    }
