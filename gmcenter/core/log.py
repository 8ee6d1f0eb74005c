"""JSON logs with the ids that tie a line to a request, a user and a cluster; secret-looking values are masked."""

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

MASK = "***"
_SECRET_KEY = re.compile(
    r"pass(word|wd)?$|secret|token|authorization|cookie|kubeconfig|private|credential|api_?key|signature", re.IGNORECASE
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]+):[^/\s@]+@")


def mask_text(text: str) -> str:
    """Text without bearer tokens, JWTs, private keys and passwords in URLs."""
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _JWT.sub(MASK, text)
    text = _PEM.sub(MASK, text)
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


def mask(value: Any, key: str = "") -> Any:
    """A value fit for a log or an audit entry: what its key names as secret is masked, texts are searched."""
    if key and _SECRET_KEY.search(key) and not isinstance(value, bool | int | float | None):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {k: mask(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(v, key) for v in value]
    return value


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: mask(value, key) for key, value in event.items()}


def configure(level: str = "info", form: str = "json") -> None:
    """Send our own and the libraries' log lines to standard error, one JSON document (or one console line) each."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiosqlite", "asyncio", "httpx", "httpcore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


bind = structlog.contextvars.bind_contextvars
clear = structlog.contextvars.clear_contextvars
