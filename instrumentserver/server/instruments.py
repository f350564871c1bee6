"""The instruments of a server: made, found, closed, made again."""

from __future__ import annotations

import inspect
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from qcodes.instrument import Instrument, InstrumentBase
from qcodes.parameters import ParameterBase

from instrumentserver.errors import UnknownName
from instrumentserver.transport.chain import current_work
from instrumentserver.wire.classes import class_text
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.shipping import code_of_its_own, load_class, takes_name_first, unship_code

from .hosted import Hosted, Target, path_of
from .locks import InstrumentLock, Locked, acquire_lock, share_lock
from .shared import SharedArguments

__all__ = ["Instruments"]

logger = logging.getLogger(__name__)

_CLOSE_SECONDS: Final = 10.0
"""How long calls that are under way may keep a stopping server from closing its instruments."""


class Instruments:
    """All instruments of one server, by name.

    Any number of threads may use it at the same time; two that make an instrument of the same name
    take turns, so that the second finds the first one's.

    Args:
        server_name: The server's name, for messages.
        new_codec: Makes a codec that knows handles.

    Attributes:
        shared: The shared keyword arguments.
        server_name: The server's name.
        server_id: Tells this server from every other one.
        held_target: Returns what is held under a path that begins with ``@``.
        before_close: Called with each instrument before it is closed, while its lock is held.
        is_taken: Tells whether a name is that of a served object.
        others_with_locks: Returns what else has a lock that instruments may share.
        on_change: Called with the name of each instrument that came, went or changed its tree; never blocks.
    """

    def __init__(self, server_name: str, new_codec: Callable[[], Codec]) -> None:
        self.shared = SharedArguments(server_name, new_codec, self.find)
        self.server_id = uuid.uuid4().hex
        self.server_name = server_name
        self._new_codec = new_codec
        self._hosted: dict[str, Hosted] = {}
        self._ended: dict[str, str] = {}
        self._targets: dict[str, Target] = {}
        self._making: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        self.held_target: Callable[[str], Target] = self._nothing_held
        self.before_close: Callable[[Hosted], None] = lambda hosted: None
        self.is_taken: Callable[[str], bool] = lambda name: False
        self.others_with_locks: Callable[[], Iterable[Locked]] = lambda: ()
        self.on_change: Callable[[str], None] = lambda name: None

    def __iter__(self) -> Iterator[Hosted]:
        return iter(list(self._hosted.values()))

    def __len__(self) -> int:
        return len(self._hosted)

    def get(self, name: str) -> Hosted | None:
        """Return the instrument of that name, None if there is none."""
        return self._hosted.get(name)

    def find(self, name: str) -> Hosted:
        """Return the instrument of that name.

        Raises:
            UnknownName: There is none; the message says what became of it, and what there is.
        """
        try:
            return self._hosted[name]
        except KeyError:
            pass
        self.refuse_ended(name)
        there = ", ".join(self._hosted) or "no instruments"
        raise UnknownName(f"server {self.server_name!r} has no instrument {name!r}; it has {there}")

    def refuse_ended(self, name: str) -> None:
        """Make sure that no instrument of that name has been closed.

        Raises:
            UnknownName: One has; the message says how and when.
        """
        ended = self._ended.get(name)
        if ended:
            raise UnknownName(f"instrument {name!r} {ended}")

    def target(self, path: str) -> Target:
        """Return what a path leads to, the fastest way.

        Raises:
            UnknownName: A part of the path is not there.
        """
        target = self._targets.get(path)
        if target is not None and target.version == target.hosted.version.number:
            return target
        if path[:1] == "@":
            return self.held_target(path)
        target = self._targets[path] = self.find(path.partition(".")[0]).target(path)
        return target

    @staticmethod
    def _nothing_held(path: str) -> Target:
        raise UnknownName(f"nothing is held under {path}")

    def path_of(self, thing: Any) -> str | None:
        """Return the path of an instrument, module, channel list, parameter or function of this server."""
        above = thing if isinstance(thing, InstrumentBase) else getattr(thing, "instrument", None)
        root = getattr(
            above if above is not None else getattr(thing, "_parent", None), "root_instrument", None
        )
        for hosted in self:
            if hosted.instrument is root:
                return path_of(thing, hosted)
        if root is None and isinstance(thing, ParameterBase):
            # It belongs to no instrument; whose call brought it up keeps it.
            worked_on = getattr(current_work.get(), "worked_on", None)
            return path_of(thing, worked_on) if isinstance(worked_on, Hosted) else None
        return None

    def create(
        self,
        shipped: dict[str, Any],
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        *,
        if_exists: str,
        beside: Sequence[Locked],
    ) -> tuple[Hosted, bool]:
        """Make an instrument, or find it.

        Args:
            shipped: Its class.
            name: Its name.
            args: What its constructor gets after the name.
            kwargs: What its constructor gets by keyword.
            if_exists: What to do if there is one of that name: "error", "find" or "recreate".
            beside: Instruments of this server among the arguments; the new one shares their lock.

        Returns:
            The instrument, and whether it was made by this call.

        Raises:
            KeyError: There is one of that name already.
            TypeError: There is one of that name, of another class.
            Exception: Whatever the constructor raised; nothing is left behind.
        """
        with self._name_in_making(name):
            cls = load_class(shipped)
            found = self._hosted.get(name.replace("-", "_"))
            if found is not None and if_exists != "error":
                _check_class(found, shipped["name"])
            if found is not None and if_exists == "error":
                raise KeyError(
                    f"Another instrument has the name: {name}; it is {found.instrument!r} "
                    f"on server {self.server_name!r}, get it with find_instrument({name!r})"
                )
            if found is not None and if_exists == "find":
                return found, False
            if self.is_taken(name):
                raise KeyError(
                    f"{name} is an object that server {self.server_name!r} serves; choose another name"
                )
            if found is not None:
                self.close(found.name, "was made anew")
            return self._make(cls, shipped, name, args, kwargs, beside), True

    def recipes(self) -> list[list[Any]]:
        """Return what another server needs to make every instrument again, in the order in which they were made.

        Raises:
            NotPortable: What one was made of cannot travel.
        """
        return [hosted.recipe.ingredients() for hosted in self]

    def _make(
        self,
        cls: type,
        shipped: dict[str, Any],
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        beside: Sequence[Locked],
    ) -> Hosted:
        with self.shared.lent(cls, kwargs, beside) as (all_kwargs, all_beside):
            recipe = _Recipe(cls, shipped, name, _Arguments(self._new_codec, args, all_kwargs))
            instrument = _construct(cls, name, args, all_kwargs)
            # The instrument's own word counts: QCoDeS turns a hyphen into an underscore.
            own_name = instrument.name
            hosted = Hosted(own_name, instrument, recipe, InstrumentLock(self.server_id))
            self._hosted[own_name] = hosted
            self._ended.pop(own_name, None)
            share_lock([hosted, *all_beside], [*self, *self.others_with_locks()])
        hosted.version.on_change = lambda: self.on_change(own_name)
        self.on_change(own_name)
        logger.info("%s %s made", class_text(cls), name)
        return hosted

    def join_locks(self, hosted: Sequence[Locked]) -> None:
        """Have instruments that were given one another share one lock."""
        share_lock(hosted, [*self, *self.others_with_locks()])

    def restart(self, name: str) -> None:
        """Close an instrument and make it again with the arguments that it was made of.

        The caller holds its lock.

        Raises:
            Exception: Whatever the constructor raised; the instrument is gone then.
        """
        hosted = self.find(name)
        self.before_close(hosted)
        _close(hosted.instrument)
        hosted.is_closed = True
        try:
            with code_of_its_own():
                hosted.replace(hosted.recipe.make())
        except BaseException:
            self._forget(name, "could not be made again when it was restarted")
            raise
        logger.info("%s restarted", name)

    def close(self, name: str, how: str = "was closed") -> None:
        """Close an instrument after the call that is under way; nothing happens if there is none.

        Raises:
            Exception: Whatever its own `close` raised; it is gone all the same.
        """
        hosted = self._hosted.get(name)
        if hosted is None:
            return
        acquire_lock(hosted)
        lock = hosted.lock
        try:
            if not hosted.is_closed:
                self.before_close(hosted)
                hosted.is_closed = True
                try:
                    _close(hosted.instrument)
                finally:
                    self._forget(name, how)
        finally:
            lock.release()

    def close_all(self) -> None:
        """Close every instrument, the latest first. Errors are logged."""
        give_up = time.monotonic() + _CLOSE_SECONDS
        for hosted in reversed(list(self)):
            is_idle = acquire_lock(hosted, max(0.0, give_up - time.monotonic()))
            lock = hosted.lock
            if not is_idle:
                logger.warning("%s is closed although a call on it has not ended", hosted.name)
            try:
                self.before_close(hosted)
                hosted.is_closed = True
                _close(hosted.instrument)
                self._forget(hosted.name, "was closed when its server stopped")
            except Exception:
                logger.exception("closing %s failed", hosted.name)
            finally:
                if is_idle:
                    lock.release()

    def _forget(self, name: str, how: str) -> None:
        hosted = self._hosted.pop(name, None)
        if hosted is not None:
            # What was prepared for its paths is void from now on.
            hosted.version.advance()
            self._targets = {
                path: target for path, target in self._targets.items() if target.hosted is not hosted
            }
        self._ended[name] = f"{how} at {datetime.now():%Y-%m-%d %H:%M:%S}"
        logger.info("%s %s", name, how)

    @contextmanager
    def _name_in_making(self, name: str) -> Iterator[None]:
        with self._guard:
            lock = self._making.setdefault(name, threading.RLock())
        with lock:
            yield


class _Arguments:
    """What a constructor was given, kept as it came, since the instrument may change its own copy."""

    def __init__(self, new_codec: Callable[[], Codec], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self._new_codec = new_codec
        self._message, buffers = new_codec().encode([list(args), kwargs])
        self._buffers = [bytes(buffer) for buffer in buffers]

    def get(self) -> tuple[list[Any], dict[str, Any]]:
        args, kwargs = self._new_codec().decode(
            self._message, [memoryview(bytearray(buffer)) for buffer in self._buffers]
        )
        return args, kwargs


@dataclass(frozen=True)
class _Recipe:
    """How an instrument was made.

    Attributes:
        cls: Its class.
        shipped: The class as it came.
        name: The name that was asked for.
        arguments: What else the constructor was given.
    """

    cls: type
    shipped: dict[str, Any]
    name: str
    arguments: _Arguments

    def make(self) -> InstrumentBase:
        """Make it again."""
        args, kwargs = self.arguments.get()
        return _construct(self.cls, self.name, args, kwargs)

    def ingredients(self) -> list[Any]:
        """Return what another server needs to make it: name, shipped class, arguments, keyword arguments."""
        return [self.name, self.shipped, *self.arguments.get()]


def _construct(cls: type, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> InstrumentBase:
    taken: Any = Instrument._all_instruments.get(name.replace("-", "_"))
    if taken is not None and hasattr(type(taken), "_forget"):
        # A proxy of another server's instrument keeps no name from those of this server.
        type(taken).remove_instance(taken)
    args, kwargs = unship_code(list(args)), {key: unship_code(value) for key, value in kwargs.items()}
    try:
        instrument = cls(name, *args, **kwargs) if takes_name_first(cls) else cls(*args, name=name, **kwargs)
    except BaseException as error:
        _close_half_made(error, cls)
        raise
    if not isinstance(instrument, InstrumentBase):
        raise TypeError(
            f"{class_text(cls)} made a {type(instrument).__name__}, which is no instrument of QCoDeS"
        )
    return instrument


def _close_half_made(error: BaseException, cls: type) -> None:
    """Close the instrument whose constructor raised, so that its hardware is free again."""
    half_made: dict[int, Any] = {
        id(value): value
        for frame, _ in _frames(error)
        for value in frame.f_locals.values()
        if type(value) is cls
    }
    for instrument in half_made.values():
        try:
            instrument.close()
        except Exception:
            logger.debug("closing a half-made %s failed", cls.__qualname__, exc_info=True)


def _frames(error: BaseException) -> Iterator[tuple[Any, int]]:
    tb = error.__traceback__
    while tb is not None:
        yield tb.tb_frame, tb.tb_lineno
        tb = tb.tb_next


def _close(instrument: InstrumentBase) -> None:
    close = getattr(instrument, "close", None)
    if close is not None:
        close()
    if isinstance(instrument, Instrument):
        # A driver that does not call super().close() would keep its name taken.
        type(instrument).remove_instance(instrument)


def _check_class(found: Hosted, requested: str) -> None:
    names = [class_text(cls) for cls in inspect.getmro(type(found.instrument))]
    if requested not in names:
        raise TypeError(
            f"Instrument {found.name} is {type(found.instrument)} but {requested.replace(':', '.')} was requested"
        )
