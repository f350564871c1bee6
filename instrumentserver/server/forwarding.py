"""What a driver logs and warns of during a call goes to the caller, who treats it like his own.

A client tells the levels of its loggers, as ``{name: level}`` with "" for the root; what they let pass is forwarded.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Final, TextIO

from instrumentserver.errors import UsageError
from instrumentserver.wire.classes import class_text

from .output import collected

__all__ = ["CallLog", "LogLevels", "forward_warnings"]

logger = logging.getLogger(__name__)

_OWN: Final = "instrumentserver"
_MOST_LEVELS: Final = 10_000
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SIMPLE: Final = frozenset((type(None), bool, int, float, str))


class ClientLevels:
    """Which records one client wants.

    Attributes:
        levels: The levels that its loggers have been given, by name.
        level_of: Returns the level at which its logger of a name begins to listen.
    """

    def __init__(self) -> None:
        self.replace({})

    def replace(self, levels: Mapping[str, int]) -> None:
        """Take over other levels."""
        self.levels = dict(levels)
        self.level_of = functools.lru_cache(1024)(self._level_of)

    def _level_of(self, name: str) -> int:
        while name and name not in self.levels:
            name = name.rpartition(".")[0]
        return self.levels.get(name, logging.WARNING)


class _Wanted(threading.local):
    by_caller: ClientLevels | None = None


_wanted: Final = _Wanted()


class LogLevels:
    """The levels of all clients, and those that the loggers of this process have because of them."""

    def __init__(self) -> None:
        self._clients: dict[str, ClientLevels] = {}
        self._before: dict[str, int] = {}
        self._guard = threading.Lock()

    def set(self, session: str, levels: Mapping[str, int]) -> None:
        """Take over what a client's loggers want.

        Raises:
            UsageError: These are no levels.
        """
        are_levels = isinstance(levels, dict) and all(
            type(name) is str and type(level) is int for name, level in levels.items()
        )
        if not are_levels or len(levels) > _MOST_LEVELS:
            raise UsageError(f"{str(levels)[:80]} are no levels of loggers")
        with self._guard:
            self._clients.setdefault(session, ClientLevels()).replace(levels)
            self._apply()

    def drop(self, session: str) -> None:
        """Forget a client."""
        with self._guard:
            if self._clients.pop(session, None) is not None:
                self._apply()

    def work_for(self, session: str) -> None:
        """Have this thread forward what the client wants from now on."""
        _wanted.by_caller = self._clients.get(session)

    def _apply(self) -> None:
        """Have every logger let pass what any client wants, in addition to what it lets pass anyway."""
        clients = list(self._clients.values())
        names = {"", *(name for client in clients for name in client.levels)}
        for name, level in self._before.items():
            logging.getLogger(name).setLevel(level)
        self._before.clear()
        # A parent, whose name is shorter, before its children, which inherit its level.
        for name in sorted(names, key=len):
            changed = logging.getLogger(name)
            wanted = min((client.level_of(name) for client in clients), default=logging.CRITICAL)
            if wanted < changed.getEffectiveLevel():
                self._before[name] = changed.level
                changed.setLevel(wanted)


class CallLog(logging.Handler):
    """Forwards the records of a call to its caller."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record for the caller, if a call is under way in this thread and he wants it."""
        kept, client = collected(), _wanted.by_caller
        if kept is None or client is None or record.levelno < client.level_of(record.name):
            return
        if record.name.partition(".")[0] == _OWN:
            return
        try:
            text = "".join((record.getMessage(),))
        except Exception:  # noqa: BLE001  (a driver's mistake in logging is no reason for a call to fail)
            self.handleError(record)
            return
        extra = {
            key: value if type(value) in _SIMPLE else "".join((str(value),))
            for key, value in vars(record).items()
            if key not in _STANDARD
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        content = {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": record.levelname,
            "msg": text,
            "pathname": record.pathname,
            "filename": record.filename,
            "module": record.module,
            "lineno": record.lineno,
            "funcName": record.funcName,
            "created": record.created,
            "msecs": record.msecs,
            "process": record.process,
            "processName": record.processName,
            "thread": record.thread,
            "threadName": record.threadName,
            "exc_text": record.exc_text,
            **extra,
        }
        kept.add("log", content, len(text) + 100)


@functools.lru_cache(256)
def _module_of(filename: str) -> str | None:
    """Return the name of the module that a file is, by which filters know it."""
    modules = list(sys.modules.items())
    return next((name for name, module in modules if getattr(module, "__file__", None) == filename), None)


def forward_warnings() -> None:
    """Have warnings of a call go to its caller, whose filters decide; each place's go into the log file once."""
    logged: set[tuple[str, str, int]] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        kept = collected()
        if kept is not None:
            classes = [class_text(cls) for cls in category.__mro__ if issubclass(cls, Warning)]
            content = [str(message), classes, filename, lineno, _module_of(filename)]
            kept.add("warning", content, len(str(message)) + 100)
        place = (str(message), filename, lineno)
        if kept is None or place not in logged:
            logged.add(place)
            logger.warning("%s", warnings.formatwarning(message, category, filename, lineno, line).rstrip())

    warnings.simplefilter("always")
    warnings.showwarning = show
