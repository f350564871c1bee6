"""What servers tell beside a result: prints, log records and warnings of drivers; and which records are wanted."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.wire.classes import find_class_text

__all__ = ["log_levels", "tell", "told_levels"]

_sentinel: Final = logging.getLogger("instrumentserver.client.sentinel")
told_levels: Final[dict[Any, bool]] = getattr(_sentinel, "_cache", {})
"""Who has told the levels of the loggers here as they are, as keys.

It is the place where a logger remembers which levels it listens to; `logging` empties that of all loggers whenever
the level of any one is changed.
"""
_most_levels: Final = 500
_places: Final[dict[Any, Any]] = {}
"""Places that have warned already, for filters that show each once."""


def log_levels() -> dict[str, int]:
    """Return the levels that the loggers of this process have been given, by name, "" for the root."""
    least = logging.root.manager.disable + 1 if logging.root.manager.disable > 0 else 0
    levels = {"": max(logging.root.level, least)}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level and len(levels) < _most_levels:
            levels[name] = max(logger.level, least)
    return levels


def tell(kind: bool | str, content: Any) -> None:
    """Print, log or warn what a driver printed, logged or warned of.

    Raises:
        Warning: The filters here make an error of the warning.
    """
    _TELL[kind](content)


def _print(text: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(text)


def _print_error(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)


def _log(content: dict[str, Any]) -> None:
    logger = logging.getLogger(content["name"])
    if logger.isEnabledFor(content["levelno"]):
        logger.handle(logging.makeLogRecord(content))


def _warn(content: list[Any]) -> None:
    text, classes, filename, lineno, module = content
    found = (cls for cls in map(find_class_text, classes) if cls is not None)
    category = next((cls for cls in found if issubclass(cls, Warning)), UserWarning)
    warnings.warn_explicit(text, category, filename, lineno, module, registry=_places)


_TELL: Final[dict[bool | str, Callable[[Any], None]]] = {
    False: _print,
    True: _print_error,
    "log": _log,
    "warning": _warn,
}
