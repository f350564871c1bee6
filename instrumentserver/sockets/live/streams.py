"""The streams of all hosts: where the points of a message go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from qcodes.instrument import Instrument

from instrumentserver.client import RemoteInstrument
from instrumentserver.errors import ProtocolError

from .codec import Message
from .names import identifier
from .senders import Senders
from .subscribers import LivePoint
from .tree import GrowingDict, LiveHost, LiveParameter

__all__ = ["Streams"]

logger = logging.getLogger(__name__)

_DAY: Final = 86400.0
_MOST_WARNINGS: Final = 100


class Streams:
    """Finds the parameter of each stream, and makes those that are not there yet.

    One thread may `take`; any other one may look meanwhile.

    Args:
        parent: The instrument that shows the hosts as submodules.
        most_streams: How many streams there are at most, a count.
        has_grown: Called after hosts or streams were added.

    Attributes:
        taken: How many points were taken, a count.
        left_out: How many were not: there were too many streams, or another one had the identifier.
    """

    def __init__(self, parent: Instrument, most_streams: int, has_grown: Callable[[], None]) -> None:
        self.taken = 0
        self.left_out = 0
        self._parent = parent
        self._most_streams = most_streams
        self._has_grown = has_grown
        self._made = 0
        self._hosts: dict[str, LiveHost] = {}
        self._streams: GrowingDict[GrowingDict[LiveParameter]] = GrowingDict()
        self._senders = Senders()
        self._warned: set[str] = set()
        # On both sides: what a proxy has itself would hide a stream from attribute access.
        self._not_for_hosts = frozenset((*dir(RemoteInstrument), *dir(parent)))
        self._not_for_codenames = frozenset((*dir(RemoteInstrument), *dir(LiveHost(parent, "host", "host"))))

    @property
    def count(self) -> int:
        """How many streams there are."""
        return sum(map(len, self._streams.values()))

    def points(self) -> dict[str, dict[str, list[Any]]]:
        """Return the latest point ``[x, y]`` by host and codename, ``[None, None]`` after a reset."""
        return {
            host: {codename: list(parameter.latest) for codename, parameter in streams.items()}
            for host, streams in self._streams.items()
        }

    def take(self, message: Message, sender: tuple[str, int], received: float) -> list[LivePoint]:
        """Put the points of a message where they belong, and return them.

        Args:
            message: The message.
            sender: Address and port from which it came.
            received: When it came, seconds since 1970.

        Raises:
            ProtocolError: It resets what nobody has sent.
        """
        points = self._take_points(message, sender, received) if message.host is not None else []
        if message.resets:
            resets = self._reset(message, sender, received)
            if not resets and not points:
                raise ProtocolError(
                    f"nothing of {message.resets!s:.80} has come from {sender[0]} to be reset"
                )
            points += resets
        return points

    def _take_points(self, message: Message, sender: tuple[str, int], received: float) -> list[LivePoint]:
        host = str(message.host)
        streams = self._streams.get(host)
        points = []
        new: list[LivePoint] = []
        for codename, (x, y) in message.points.items():
            point = LivePoint(host, codename, x, y, received)
            parameter = None if streams is None else streams.get(codename)
            if parameter is None:
                new.append(point)
                continue
            parameter.take(x, y, _moment(x, received))
            points.append(point)
        if new:
            points += self._add(host, new)
        if points:
            self._senders.note(sender, host)
            self.taken += len(points)
        return points

    def _reset(self, message: Message, sender: tuple[str, int], received: float) -> list[LivePoint]:
        hosts = self._senders.hosts(sender) if message.host is None else {message.host}
        points = []
        for host in sorted(hosts):
            streams = self._streams.get(host)
            for codename in message.resets:
                if streams is not None and codename in streams:
                    streams[codename].take(None, None, received)
                    points.append(LivePoint(host, codename, None, None, received))
        return points

    # What comes for the first time

    def _add(self, host: str, points: list[LivePoint]) -> list[LivePoint]:
        """Make streams of their first points; return those for which there was room."""
        if self._made >= self._most_streams:
            # Before a module is made: QCoDeS keeps a logger of each for ever.
            self._leave_out_for_want_of_room(points)
            return []
        module = self._hosts.get(host)
        is_new = module is None
        if module is None:
            name = identifier(host, "host", self._not_for_hosts)
            if name in self._parent.submodules:
                self._leave_out(points, host, f"{host!r} would be called {name}, as another host is already")
                return []
            module = LiveHost(self._parent, name, host)
        added = [
            (point, parameter) for point in points if (parameter := self._made_of(module, point)) is not None
        ]
        if not added:
            return []
        if is_new:
            self._hosts[host] = self._parent.add_submodule(module.short_name, module)
            logger.info("%s: the first points of %s have come", self._parent.name, host)
        self._has_grown()
        # Last: who sees a stream here finds its parameter.
        new = {point.codename: parameter for point, parameter in added}
        self._streams.setdefault(host, GrowingDict(new)).update(new)
        return [point for point, _ in added]

    def _made_of(self, module: LiveHost, point: LivePoint) -> LiveParameter | None:
        """Return a parameter made of its first point; None if there is no room for it."""
        host, codename, x, y, received = point
        if self._made >= self._most_streams:
            reason = (
                f"there are {self._made} streams already; have a live server made with a higher most_streams"
            )
            self._leave_out([point], "most_streams", reason)
            return None
        name = identifier(codename, "stream", self._not_for_codenames)
        if name in module.parameters:
            reason = f"{codename!r} of {host!r} would be called {name}, as another stream is already"
            self._leave_out([point], f"{host}:{codename}", reason)
            return None
        parameter = LiveParameter(name, module, codename)
        parameter.take(x, y, _moment(x, received))
        module.parameters[name] = parameter
        self._made += 1
        return parameter

    def _leave_out_for_want_of_room(self, points: list[LivePoint]) -> None:
        reason = f"there are {self._made} streams already; have a live server made with a higher most_streams"
        self._leave_out(points, "most_streams", reason)

    def _leave_out(self, points: list[LivePoint], what: str, reason: str) -> None:
        """Count points that cannot be taken; the reason is told once for the same things."""
        self.left_out += len(points)
        if what not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(what)
            logger.warning("%s: points are left out: %s", self._parent.name, reason)


def _moment(x: float | None, received: float) -> float:
    """Return when a point was measured: x, where it is the time of day, else when it came."""
    return x if x is not None and abs(x - received) < _DAY else received
