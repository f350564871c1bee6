"""What a method returned and what stays on the server: generators, other iterators, context managers.

Each has a path of its own, ``@7``, by which it is used like any part of an instrument.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final, NamedTuple

from qcodes.metadatable import Metadatable

from instrumentserver.errors import NotPortable, UnknownName
from instrumentserver.schema import HeldSchema
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.failures import dump_failure, load_failure
from instrumentserver.wire.messages import Op
from instrumentserver.wire.values import shown

from .caller import Caller
from .hosted import Hosted, Target
from .locks import acquire_lock

__all__ = ["HeldObjects", "advance", "leave_context", "sent_error"]

logger = logging.getLogger(__name__)

_LONGEST: Final = 500
_INTERRUPTS: Final = {kind.__name__: kind for kind in (KeyboardInterrupt, SystemExit, GeneratorExit)}


class _Held(NamedTuple):
    """Something that is kept.

    Attributes:
        session: For whom.
        hosted: The instrument whose method returned it.
        instrument: That instrument's object; another one after a restart.
        value: The thing itself.
    """

    session: str
    hosted: Hosted
    instrument: object
    value: Any


class HeldObjects:
    """Keeps objects for the sessions that asked for them, until they let go or end.

    Args:
        find: Returns what a path leads to.
        is_portable: Tells whether a value can travel.

    Attributes:
        table: The operations by name.
    """

    def __init__(self, find: Callable[[str], Target], is_portable: Callable[[Any], bool]) -> None:
        self._find = find
        self._is_portable = is_portable
        self._numbers = itertools.count(1)
        self._held: dict[str, _Held] = {}
        self._guard = threading.Lock()
        self.table: dict[str, Callable[..., list[Any]]] = {
            Op.STEP: self._step,
            Op.ENTER: self._enter,
            Op.EXIT: self._exit,
            Op.RELEASE: self._release,
        }

    def form(self, caller: Caller, hosted: Hosted, value: Any) -> Any:
        """Return a call's result, or what stands for it if it has to stay here."""
        if (isinstance(value, Iterator) or _is_context(value)) and not isinstance(value, Metadatable):
            return self._keep(caller, hosted, value)
        return value

    def target(self, path: str) -> Target:
        """Return what is held under a path.

        Raises:
            UnknownName: Nothing is, any more.
        """
        held = self._held.get(path)
        if held is None or held.hosted.is_closed or held.hosted.instrument is not held.instrument:
            raise UnknownName(
                "the generator or context is not on the server any more: it ended, or its instrument was closed"
            )
        return Target(held.hosted, held.value)

    def drop_instrument(self, hosted: Hosted) -> None:
        """End the generators of an instrument, while it can carry out what they do at their end; its lock is held."""
        with self._guard:
            held = [held for held in self._held.values() if held.hosted is hosted]
        for each in held:
            _end(each.value)

    def drop_session(self, session: str) -> None:
        """Let go of everything that a session holds; generators are closed."""
        with self._guard:
            paths = [path for path, held in self._held.items() if held.session == session]
            dropped = [self._held.pop(path) for path in paths]
        for held in dropped:
            _close(held)

    def _keep(self, caller: Caller, hosted: Hosted, value: Any) -> HeldSchema:
        path = f"@{next(self._numbers)}"
        with self._guard:
            self._held[path] = _Held(caller.session, hosted, hosted.instrument, value)
        return HeldSchema(
            path=path,
            is_generator=isinstance(value, Generator),
            is_iterator=isinstance(value, Iterator),
            is_context=_is_context(value),
            classes=[class_text(cls) for cls in type(value).__mro__ if cls is not object],
            shown=shown(value, _LONGEST),
        )

    def _step(self, caller: Caller, path: str, method: str, arguments: list[Any]) -> list[Any]:
        """Have an iterator go on; return how that ended, and with what.

        It ends with "yielded" and the item, "returned" and the value at the end, "raised" and the failure of one
        that has ended by it, or "yours" where the error that was thrown in came out again.
        """
        target = self._of(caller, path)
        value = target.thing
        with caller.busy_with(target.hosted, Op.STEP, target.hosted.name):
            try:
                outcome = advance(value, "__next__" if method == "next" else method, arguments)
                if outcome[0] == "yielded" and not self._is_portable(outcome[1]):
                    _end(value)
                    raise NotPortable(f"an item, {shown(outcome[1])}, cannot travel; the generator was ended")
            except BaseException as error:
                if not isinstance(value, Generator) or inspect.getgeneratorstate(value) != inspect.GEN_CLOSED:
                    raise
                outcome = ["raised", dump_failure(error, caller.where)]
                error.__traceback__ = None
        if outcome[0] != "yielded":
            self._forget(path)
        return [target.hosted.version.number, outcome]

    def _enter(self, caller: Caller, path: str) -> list[Any]:
        """Enter a context; return whether it gave itself, and what it gave otherwise."""
        target = self._subject(caller, path)
        with caller.busy_with(target.hosted, Op.ENTER, target.hosted.name):
            entered = target.thing.__enter__()
        if entered is target.thing:
            return [target.hosted.version.number, [True, None]]
        given = entered if self._is_portable(entered) else self._keep(caller, target.hosted, entered)
        return [target.hosted.version.number, [False, given]]

    def _exit(self, caller: Caller, path: str, failure: dict[str, Any] | None) -> list[Any]:
        """Leave a context; return whether it swallows the error with which it was left."""
        target = self._subject(caller, path)
        with caller.busy_with(target.hosted, Op.EXIT, target.hosted.name):
            swallowed = leave_context(target.thing, failure)
        return [target.hosted.version.number, swallowed]

    def _subject(self, caller: Caller, path: str) -> Target:
        return self._of(caller, path) if path.startswith("@") else self._find(path)

    def _of(self, caller: Caller, path: str) -> Target:
        """Return what a client holds; what others hold is not there for it."""
        held = self._held.get(path)
        return self.target(path if held is not None and held.session == caller.session else "")

    def _release(self, caller: Caller, path: str) -> list[Any]:
        """Let go of an object that nobody has any more; a generator is closed."""
        held = self._held.get(path)
        if held is not None and held.session == caller.session:
            self._forget(path)
            _close(held)
        return [0, None]

    def _forget(self, path: str) -> _Held | None:
        with self._guard:
            return self._held.pop(path, None)


def _is_context(value: Any) -> bool:
    return hasattr(type(value), "__enter__") and hasattr(type(value), "__exit__")


def _close(held: _Held) -> None:
    """End a generator that was not run to its end, as Python does to one that nobody has any more."""
    if not isinstance(held.value, Generator):
        return
    acquire_lock(held.hosted)
    lock = held.hosted.lock
    try:
        _end(held.value)
    finally:
        lock.release()


def _end(value: Any) -> None:
    try:
        if isinstance(value, Generator):
            value.close()
    except Exception:
        logger.warning("closing a generator failed", exc_info=True)


def advance(iterator: Any, method: str, arguments: Sequence[Any]) -> list[Any]:
    """Have an iterator go on for a client; return how that ended.

    ``["yielded", item]``, ``["returned", value]`` at the end, or ``["yours", None]`` where the error that the client
    threw in came out again. Other errors are raised.
    """
    thrown = sent_error(arguments[0]) if method == "throw" else None
    step = getattr(iterator, method)
    try:
        return ["yielded", step(*arguments) if thrown is None else step(thrown)]
    except StopIteration as end:
        return ["returned", end.value]
    except BaseException as error:
        if error is not thrown:
            raise
        return ["yours", None]


def leave_context(context: Any, failure: dict[str, Any] | None) -> bool:
    """Leave a context for a client; return whether it swallows the error with which he left it.

    Args:
        context: The context manager.
        failure: The error, as `dump_failure` returns it, or None.
    """
    if failure is None:
        return bool(context.__exit__(None, None, None))
    error = sent_error(failure)
    try:
        return bool(context.__exit__(type(error), error, error.__traceback__))
    except BaseException as raised:
        if raised is not error:
            raise
        # The client raises the original, which this is the copy of.
        return False


def sent_error(failure: dict[str, Any]) -> BaseException:
    """Return the exception with which a client left a context, or that he throws into a generator."""
    kind = _INTERRUPTS.get(failure["class"][1])
    return load_failure(failure) if kind is None else kind()
