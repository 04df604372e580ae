"""Log lines: one JSON object each, an event called noun.verb, fields beside it.

Every line, also one from a library through the standard logger, passes the redactor last. A
line below the configured level costs a call to an empty function. The correlation id of the
request, or of the unit in the journal that work is done for later, rides in a context variable and
is on every line it causes; what nobody asked for, such as a start, has none.
Nothing here opens files or rotates them; whoever runs the process owns its streams.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from ordergate.telemetry.redactor import redact, redact_text

Level = Literal["debug", "info", "warning", "error", "critical"]

_LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
# These write whole requests and tokens at debug level, which we never want formatted at all.
_CHATTY: Final = ("authlib", "httpx", "httpcore", "aiohttp", "asyncio", "websockets", "uvicorn.access")
# uvicorn says so at level error of every stream that is refused, after the refusal has been sent whole.
_UNTRUE: Final = "ASGI callable returned without completing handshake."


class _Stderr(io.TextIOBase):
    """Whatever standard error is at the moment of writing."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR: Final = cast(TextIO, _Stderr())
_correlation: ContextVar[str | None] = ContextVar("ordergate_correlation", default=None)


def configure(level: Level = "info", stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and the libraries', to the stream as JSON."""
    target = stream if stream is not None else _STDERR
    _configure_ours(level, target)
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redacted, _rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_true)


def _is_true(record: logging.LogRecord) -> bool:
    return record.msg != _UNTRUE


def _configure_ours(level: Level, target: TextIO) -> None:
    structlog.configure(
        processors=[*_shared(), _redacted, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    _now.threshold = _LEVELS[level]
    _now.generation += 1


def logger(room: str) -> Logger:
    """The logger of one part of the system; `log.info("order.sent", order=order_id)`."""
    return Logger(room)


class Logger:
    """May be made before `configure` is called. A call below the level compares two numbers."""

    __slots__ = ("_bound", "_made_for", "_room")

    def __init__(self, room: str) -> None:
        self._room = room
        self._made_for = -1
        self._bound: FilteringBoundLogger | None = None

    def debug(self, event: str, **fields: object) -> None:
        if _now.threshold <= logging.DEBUG:
            self._to().debug(event, **fields)

    def info(self, event: str, **fields: object) -> None:
        if _now.threshold <= logging.INFO:
            self._to().info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        if _now.threshold <= logging.WARNING:
            self._to().warning(event, **fields)

    def error(self, event: str, **fields: object) -> None:
        if _now.threshold <= logging.ERROR:
            self._to().error(event, **fields)

    def critical(self, event: str, **fields: object) -> None:
        """Always on."""
        self._to().critical(event, **fields)

    def exception(self, event: str, **fields: object) -> None:
        """As error, with the exception that is being handled."""
        self._to().exception(event, **fields)

    def _to(self) -> FilteringBoundLogger:
        if _now.generation == 0:  # Nobody has configured anything: redact all the same.
            _configure_ours("warning", _STDERR)
        if self._bound is None or self._made_for != _now.generation:
            self._bound = cast(FilteringBoundLogger, structlog.get_logger().bind(room=self._room))
            self._made_for = _now.generation
        return self._bound


class _Now:
    """What is configured. The generation tells loggers that were made before."""

    threshold: int = logging.WARNING
    generation: int = 0


_now: Final = _Now()


def correlation_id() -> str | None:
    """The id of what this task works on, if anything gave it one."""
    return _correlation.get()


def bind(identifier: str) -> Token[str | None]:
    """As `correlated`, for the hot path: whoever binds unbinds, in the same task or callback."""
    return _correlation.set(identifier)


def unbind(token: Token[str | None]) -> None:
    _correlation.reset(token)


@contextmanager
def correlated(identifier: str) -> Iterator[None]:
    """Everything logged inside, by this task and those it starts, carries the identifier."""
    token = bind(identifier)
    try:
        yield
    finally:
        unbind(token)


def _shared() -> list[Processor]:
    return [
        _with_correlation,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _with_correlation(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    identifier = _correlation.get()
    if identifier is not None:
        event.setdefault("correlation_id", identifier)
    return event


def _redacted(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return cast(MutableMapping[str, Any], redact(event))


def _rendered(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(event).decode()
    except (TypeError, ValueError, UnicodeError):
        # A number or a text that JSON cannot hold must not cost us the line it is on.
        plain = {name: redact_text(repr(value)) for name, value in event.items()}
        return msgspec.json.encode(plain).decode()
