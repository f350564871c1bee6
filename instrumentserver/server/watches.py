"""The watches of a server: which parameters are followed, for whom, and what becomes of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from qcodes.parameters import ParameterBase

from instrumentserver.errors import UnknownName

from .caller import Caller
from .hosted import Hosted, Target
from .instruments import Instruments
from .polling import Poller
from .subscriber import Stream, Subscriber
from .watch import Watch

__all__ = ["EventStream", "Watches"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.5
"""How often the sources of watched delegates are looked at."""


class EventStream(Stream, Protocol):
    """The way to a client that hears of more than values."""

    def tell_changed(self, names: list[str]) -> None:
        """Tell which instruments came, went or changed their tree."""


class Watches:
    """Follows parameters for the clients who have subscribed to them.

    A path that leads nowhere is followed, too: from the moment on at which there is a parameter.

    Args:
        instruments: The server's instruments.
        new_caller: Returns who the readings of pollers are done for.
    """

    def __init__(self, instruments: Instruments, new_caller: Callable[[], Caller]) -> None:
        self._instruments = instruments
        self._new_caller = new_caller
        self._watches: dict[str, Watch] = {}
        self._streams: list[EventStream] = []
        self._pollers: dict[str, Poller] = {}
        self._changed: set[str] = set()
        self._has_changed = threading.Condition()
        self._is_running = False
        self._guard = threading.RLock()
        instruments.on_change = self._note_change

    # Streams and subscribers

    def open(self, stream: EventStream) -> None:
        """Tell a client from now on which instruments come, go and change."""
        with self._guard:
            self._streams.append(stream)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._follow_changes, name="watches", daemon=True).start()

    def close(self, stream: EventStream) -> None:
        """Tell a client nothing any more."""
        with self._guard:
            self._streams.remove(stream)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell a subscriber of its parameter from now on, the present value first."""
        with self._guard:
            watch = self._watches.get(subscriber.path)
            if watch is None:
                watch = self._watches[subscriber.path] = Watch(subscriber.path, self)
                self._bind(watch)
            watch.add(subscriber)
        if watch.is_delegate:
            with self._has_changed:
                self._has_changed.notify()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Do not tell a subscriber any more; a parameter without any is left as QCoDeS made it."""
        with self._guard:
            watch = self._watches.get(subscriber.path)
            if watch is None:
                return
            watch.remove(subscriber)
            if not watch.subscribers:
                del self._watches[subscriber.path]
                watch.detach("nobody watches it")

    def counts(self) -> dict[str, int]:
        """Return the paths that are watched, and how many subscribers each has."""
        with self._guard:
            return {path: len(watch.subscribers) for path, watch in self._watches.items()}

    def callers(self) -> list[Caller]:
        """Return for whom pollers read; for any thread."""
        pollers = list(self._pollers.values())
        return [poller.caller for poller in pollers if poller.caller is not None]

    # What watches ask for

    def tell_state(self, subscriber: Subscriber, state: str, reason: str) -> None:
        """Tell a subscriber that its parameter is "connected" or "disconnected"."""
        subscriber.stream.tell_state(subscriber, state, reason)

    def set_period(self, watch: Watch, hosted: Hosted, period: float | None) -> None:
        """Have a parameter be read every ``period`` seconds, None for not at all."""
        if period is not None or hosted.name in self._pollers:
            self._poller(hosted).set_period(watch, period)

    def read_soon(self, watch: Watch, hosted: Hosted) -> None:
        """Have a parameter be read once, soon."""
        self._poller(hosted).read_soon(watch)

    def _poller(self, hosted: Hosted) -> Poller:
        # `setdefault` is one step: two threads get the same one.
        return self._pollers.get(hosted.name) or self._pollers.setdefault(
            hosted.name, Poller(hosted.name, self._new_caller)
        )

    # Instruments that come, go and change

    def _note_change(self, name: str) -> None:
        """Remember that an instrument came, went or changed; called wherever that happens, so never blocks."""
        if self._is_running:
            with self._has_changed:
                self._changed.add(name)
                self._has_changed.notify()

    def _follow_changes(self) -> None:
        while True:
            with self._has_changed:
                if not self._changed:
                    # QCoDeS tells nobody when a delegate gets another source.
                    self._has_changed.wait(_LOOK_SECONDS if self._has_delegates else None)
                names, self._changed = sorted(self._changed), set()
            try:
                with self._guard:
                    streams = list(self._streams)
                    for watch in list(self._watches.values()):
                        if watch.is_delegate or watch.path.partition(".")[0] in names:
                            self._bind(watch)
            except Exception:
                logger.exception("following the changes of %s failed", ", ".join(names))
            for stream in streams if names else ():
                stream.tell_changed(names)

    @property
    def _has_delegates(self) -> bool:
        return any(watch.is_delegate for watch in list(self._watches.values()))

    def _bind(self, watch: Watch) -> None:
        """Have a watch follow what its path leads to now."""
        try:
            target = self._target(watch.path)
        except (UnknownName, RuntimeError) as error:
            # A tree that changes while it is searched is searched again: the change is noted.
            watch.detach(str(error))
        else:
            watch.attach(target)

    def _target(self, path: str) -> Target:
        target = self._instruments.target(path)
        if not isinstance(target.thing, ParameterBase):
            raise UnknownName(f"{path} is no parameter; only parameters can be watched")
        return target
