"""What a method returned and what stays on the server: generators, other iterators, context managers."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from instrumentserver.errors import UnknownName
from instrumentserver.schema import HeldSchema
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op
from instrumentserver.wire.values import shown

from .caller import Caller
from .hosted import Hosted, Target
from .locks import acquire_lock

__all__ = ["HeldObjects"]

logger = logging.getLogger(__name__)

_LONGEST: Final = 500
_INTERRUPTS: Final = {kind.__name__: kind for kind in (KeyboardInterrupt, SystemExit, GeneratorExit)}


class HeldObjects:
    """Keeps objects for the sessions that asked for them, until they let go or end.

    Args:
        find: Returns what a path leads to.

    Attributes:
        table: The operations by name.
    """

    def __init__(self, find: Callable[[str], Target]) -> None:
        self._target = find
        self._numbers = itertools.count(1)
        self._held: dict[str, dict[int, tuple[Hosted, Any]]] = {}
        self._guard = threading.Lock()
        self.table: dict[str, Callable[..., list[Any]]] = {
            Op.STEP: self._step,
            Op.ENTER: self._enter,
            Op.EXIT: self._exit,
            Op.RELEASE: self._release,
        }

    def form(self, caller: Caller, hosted: Hosted, value: Any) -> Any:
        """Return a call's result, or what stands for it if it has to stay here."""
        if isinstance(value, Iterator):
            kind = "generator" if isinstance(value, Generator) else "iterator"
        elif hasattr(type(value), "__enter__") and hasattr(type(value), "__exit__"):
            kind = "context"
        else:
            return value
        number = next(self._numbers)
        with self._guard:
            self._held.setdefault(caller.session, {})[number] = hosted, value
        classes = [class_text(cls) for cls in type(value).__mro__ if cls is not object]
        return HeldSchema(number, kind, classes, shown(value, _LONGEST))

    def drop_session(self, session: str) -> None:
        """Let go of everything that a session holds; generators are closed."""
        with self._guard:
            dropped = self._held.pop(session, {})
        for hosted, value in dropped.values():
            _close(hosted, value)

    def _step(self, caller: Caller, path: str, number: int, method: str, arguments: list[Any]) -> list[Any]:
        """Have an iterator yield; return whether it did, and what it yielded, or returned at its end."""
        hosted, value = self._find(caller, number)
        step = getattr(value, {"next": "__next__", "send": "send", "throw": "throw"}[method])
        if method == "throw":
            arguments = [_error(arguments[0])]
        with caller.busy_with(hosted, Op.STEP, hosted.name):
            try:
                yielded = step(*arguments)
            except StopIteration as end:
                self._forget(caller, number)
                return [hosted.version.number, [False, end.value]]
        return [hosted.version.number, [True, yielded]]

    def _enter(self, caller: Caller, path: str, number: int | None) -> list[Any]:
        """Enter a context; return whether it gave itself, and what it gave otherwise."""
        hosted, value = self._subject(caller, path, number)
        with caller.busy_with(hosted, Op.ENTER, hosted.name):
            entered = value.__enter__()
        is_itself = entered is value
        return [hosted.version.number, [is_itself, None if is_itself else entered]]

    def _exit(
        self, caller: Caller, path: str, number: int | None, failure: dict[str, Any] | None
    ) -> list[Any]:
        """Leave a context; return whether it swallows the error with which it was left."""
        hosted, value = self._subject(caller, path, number)
        if number is not None:
            self._forget(caller, number)
        error = None if failure is None else _error(failure)
        with caller.busy_with(hosted, Op.EXIT, hosted.name):
            if error is None:
                swallowed = value.__exit__(None, None, None)
            else:
                try:
                    swallowed = value.__exit__(type(error), error, error.__traceback__)
                except BaseException as raised:
                    if raised is error:
                        # The client raises the original, which this is the copy of.
                        return [hosted.version.number, False]
                    raise
        return [hosted.version.number, bool(swallowed)]

    def _release(self, caller: Caller, path: str, numbers: list[int]) -> list[Any]:
        """Let go of objects that nobody has any more; generators are closed."""
        for number in numbers:
            with self._guard:
                found = self._held.get(caller.session, {}).pop(number, None)
            if found is not None:
                _close(*found)
        return [0, None]

    def _subject(self, caller: Caller, path: str, number: int | None) -> tuple[Hosted, Any]:
        """Return what is entered or left: what is held under a number, or else what a path leads to."""
        if number is not None:
            return self._find(caller, number)
        target = self._target(path)
        return target.hosted, target.thing

    def _find(self, caller: Caller, number: int) -> tuple[Hosted, Any]:
        try:
            return self._held[caller.session][number]
        except KeyError:
            raise UnknownName(
                "the generator or context is not on the server any more: it ended, or its instrument was closed"
            ) from None

    def _forget(self, caller: Caller, number: int) -> None:
        with self._guard:
            self._held.get(caller.session, {}).pop(number, None)


def _close(hosted: Hosted, value: Any) -> None:
    """End a generator that was not run to its end, as Python does to one that nobody has any more."""
    close = getattr(value, "close", None) if isinstance(value, Generator) else None
    if close is None:
        return
    acquire_lock(hosted)
    lock = hosted.lock
    try:
        close()
    except Exception:
        logger.debug("closing a generator of %s failed", hosted.name, exc_info=True)
    finally:
        lock.release()


def _error(failure: dict[str, Any]) -> BaseException:
    """Return the exception with which a context was left."""
    kind = _INTERRUPTS.get(failure["class"][1])
    return load_failure(failure) if kind is None else kind()
