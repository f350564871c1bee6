"""Publications: parameters of an instrument that a socket shows."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from qcodes.instrument.instrument_base import InstrumentBase

from instrumentserver.errors import UsageError

from ..live import LiveSocket
from ..pull import CommonDataPullSocket, DateDataPullSocket
from ..registry import entries
from .feed import Feed
from .parameters import Parameters, find_parameters, parameter_paths
from .readings import Readings
from .targets import enumerated
from .troubles import Troubles

__all__ = ["Publication", "Timeouts", "publish"]

Timeouts = float | Sequence[float | None] | Mapping[str, float | None] | None
"""Ages in seconds: one for all codenames, one for each in their order, or by codename; None: never old."""

_PORT: Final = 9000
_HOST: Final = "127.0.0.1"
_SHORTEST_PERIOD: Final = 1e-3


class PointSocket(Protocol):
    """What can show points."""

    def start(self) -> None:
        """Begin to answer."""

    def stop(self) -> None:
        """End."""

    def set_point(self, codename: str, point: Any, /) -> None:
        """Show a point ``(time, value)``."""


def publish(
    instrument: InstrumentBase,
    parameters: Parameters,
    timeouts: Timeouts = None,
    *,
    name: str | None = None,
    port: int = _PORT,
    host: str = _HOST,
    period: float | None = None,
    socket: PointSocket | None = None,
) -> Publication:
    """Show parameters of an instrument in a pull socket, up to date from now on.

    Each change of a remote parameter is shown with the time at which its server saw it: with timeouts, the clocks of
    both computers have to agree. A constant value brings no changes: with a timeout it becomes ``OLD_DATA``, unless a
    ``period`` confirms it. Of a local instrument each value that this program reads or sets is shown; what changes by
    itself needs a ``period``, and a driver that bears to be read by another thread. Before the first value of a
    parameter, None is shown.

    When the server of the instrument ends, the values become old, and they come again when it is there again. numpy's
    scalars and arrays are shown as numbers and lists, members of an Enum as their names; see `plain`.

    Args:
        instrument: A QCoDeS instrument or a part of one, local or remote.
        parameters: Objects or paths (``'power'``, ``'ch1.v'``) by codename, or a list of paths, which are the codenames
            then.
        timeouts: Age above which a value is ``OLD_DATA``, seconds: one for all, one for each, or by codename; None:
            never.
        name: What the socket is called; by default as the instrument.
        port: UDP port; 0 for any free one, which the publication's ``port`` tells.
        host: Address of this computer to listen at; ``'0.0.0.0'`` lets everybody on the network ask.
        period: How often the parameters are read as well, seconds, at least 0.001; None: not at all. They are read one
            after the other. A reading counts from when it came, and not at all if an event came while it was under way.
        socket: A `DateDataPullSocket`, `DataPullSocket` or `LiveSocket` that shows the points instead of a new one; it
            has all codenames, and the name, port, host and timeouts with which it was made. If it has not been started,
            it is started here, and stopped with the publication; otherwise it goes on afterwards.

    Raises:
        UsageError: A parameter is unknown, of another instrument, or cannot be read; the message says what there is.
            Or arguments are wrong or do not go together. Nothing is left then, as after every other error.
        PortStillReserved: Another program has the port.
    """
    if not isinstance(instrument, InstrumentBase):
        raise UsageError(
            f"{instrument!r:.80} is no QCoDeS instrument; only parameters of such can be published"
        )
    period = _checked_period(period)
    found = find_parameters(instrument, parameters, to_set=False)
    if not found:
        there_is = enumerated(parameter_paths(instrument, to_set=False))
        raise UsageError(f"nothing is to be published; of {instrument.name} can be read: {there_is}")
    title = name or instrument.name
    if socket is None:
        given: PointSocket = DateDataPullSocket(
            title,
            list(found),
            port,
            default_y=None,
            timeouts=_in_order(timeouts, list(found)),
            host=host,
        )
    else:
        if (name, timeouts, port, host) != (None, None, _PORT, _HOST):
            raise UsageError(
                "a socket that is given has its name, port, host and timeouts; do not give them here"
            )
        _check_codenames(socket, list(found))
        given = socket
    is_ours = socket is None or not _is_started(given)
    troubles = Troubles(title)
    feeds = [
        Feed(codename, parameter, given.set_point, troubles, is_polled=period is not None)
        for codename, parameter in found.items()
    ]
    publication = Publication(
        given, feeds, None if period is None else Readings(title, feeds, period), is_ours=is_ours
    )
    try:
        publication._begin()
    except BaseException:
        publication._end()
        if socket is None:
            given.stop()
        raise
    return publication


class Publication:
    """Keeps a socket up to date with parameters, until `stop`; made by `publish`.

    It goes on if nobody keeps it. As a context manager it stops at the end.

    Args:
        socket: What shows the points.
        feeds: What keeps each codename up to date.
        readings: What reads the parameters; None: nothing does.
        is_ours: Whether the socket is started and stopped here.

    Attributes:
        socket: The same.
    """

    def __init__(
        self, socket: Any, feeds: Sequence[Feed], readings: Readings | None, *, is_ours: bool
    ) -> None:
        self.socket = socket
        self._feeds = feeds
        self._readings = readings
        self._is_ours = is_ours

    @property
    def port(self) -> int | None:
        """The UDP port where the points can be asked for; None for a live socket without one."""
        served = self.socket.internal_data_pull_socket if isinstance(self.socket, LiveSocket) else self.socket
        return None if served is None else int(served.port)

    @property
    def is_connected(self) -> bool:
        """Whether all remote parameters are there, and the latest readings of local ones succeeded, if any."""
        return all(feed.is_connected for feed in self._feeds)

    def _begin(self) -> None:
        for feed in self._feeds:
            feed.start()
        if self._readings is not None:
            self._readings.start()
        if self._is_ours:
            self.socket.start()

    def stop(self) -> None:
        """End subscriptions and readings, and the socket if `publish` has started it; a second call does nothing.

        Waits for a reading that is under way, at most 5 s.
        """
        self._end()
        if self._is_ours:
            self.socket.stop()

    def _end(self) -> None:
        if self._readings is not None:
            self._readings.stop()
        for feed in self._feeds:
            feed.stop()

    def __enter__(self) -> Self:
        """Return the publication."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()


def _checked_period(period: Any) -> float | None:
    """Return the period in seconds, or raise UsageError."""
    if period is None:
        return None
    is_number = isinstance(period, int | float) and not isinstance(period, bool)
    if not is_number or not math.isfinite(period) or period < _SHORTEST_PERIOD:
        raise UsageError(
            f"period={period!r} is no time; give seconds, at least {_SHORTEST_PERIOD:g}, or None for no reading"
        )
    return min(float(period), threading.TIMEOUT_MAX)


def _in_order(timeouts: Timeouts, codenames: Sequence[str]) -> float | Sequence[float | None] | None:
    """Return timeouts as a pull socket takes them."""
    if not isinstance(timeouts, Mapping):
        return timeouts
    for codename in timeouts:
        if codename not in codenames:
            raise UsageError(f"timeouts= names {codename!r}, which is not published: {', '.join(codenames)}")
    return [timeouts.get(codename) for codename in codenames]


def _check_codenames(socket: object, codenames: Sequence[str]) -> None:
    """Raise UsageError if a socket that was given cannot show these codenames."""
    if isinstance(socket, LiveSocket):
        known = socket.codenames
    elif isinstance(socket, CommonDataPullSocket):
        entry = entries().get(socket.port)
        if entry is None:
            raise UsageError(f"the socket of port {socket.port} has been stopped; give another one")
        known = entry["codenames"]
    else:
        raise UsageError(
            f"{socket!r:.80} shows no points; give a DateDataPullSocket, DataPullSocket or LiveSocket"
        )
    missing = [codename for codename in codenames if codename not in known]
    if missing:
        raise UsageError(
            f"the socket has no codename {', '.join(missing)}, but: {', '.join(known)}; make it with all of them"
        )


def _is_started(socket: Any) -> bool:
    """Return whether a socket was started, or needs no start."""
    served = socket.internal_data_pull_socket if isinstance(socket, LiveSocket) else socket
    return served is None or served.ident is not None
