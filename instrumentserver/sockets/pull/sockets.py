"""Pull sockets: programs ask for the last points of a measurement."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from instrumentserver.errors import UsageError

from .. import registry
from ..activity import Activity
from ..serving import ServingSocket
from .handler import PullUDPHandler
from .points import Points

__all__ = ["CommonDataPullSocket", "DataPullSocket", "DateDataPullSocket"]


class CommonDataPullSocket(ServingSocket, ABC):
    """Shows the last point of each codename; subclasses say how points are set, and when one is old.

    Args:
        name: What the socket says if it is asked who it is, ASCII.
        codenames: What its values are called; ``# , ; : &`` are not allowed, spaces are.
        port: UDP port; 0 for any free one, which ``port`` tells.
        default_x: First value of a point that was never set.
        default_y: Second value of it.
        timeouts: Seconds after which a point is old, one number for all or one for each codename; None: never.
        check_activity: Whether ``status`` tells if the socket is kept up to date.
        activity_timeout: Seconds without `poke` after which it tells that it is not.
        init_timeouts: Whether points become old at all.
        handler_class: What answers requests: it is made once, with the name and the points, and its ``reply`` is given
            each request. It is no handler of socketserver's, whose ``handle`` would never be called.
        host: Address of this computer to listen at. ``'127.0.0.1'`` is recommended where only programs of this
            computer ask; ``'0.0.0.0'``, as in the field, lets everybody on the network ask.

    Raises:
        UsageError: A socket of this process has the port, or the codenames or timeouts are wrong. It is a ValueError.
        PortStillReserved: Another program has the port.
    """

    _kind = "data"

    def __init__(
        self,
        name: str | None,
        codenames: Sequence[str],
        port: int,
        default_x: Any,
        default_y: Any,
        timeouts: float | Sequence[float | None] | None,
        check_activity: bool,
        activity_timeout: float,
        init_timeouts: bool = True,
        handler_class: type[PullUDPHandler] = PullUDPHandler,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        registry.check_free(port)
        _check(handler_class)
        age_from = self._age_from if init_timeouts else None
        self._points = Points(codenames, (default_x, default_y), timeouts, age_from)
        super().__init__(
            self._kind,
            name,
            host,
            port,
            handler_class(name, self._points),
            Activity(check_activity, activity_timeout),
            {
                "codenames": self._points.codenames,
                "data": self._points.data,
                "timeouts": self._points.timeouts,
                "timestamps": self._points.timestamps,
            },
            is_guarded=True,
        )

    @abstractmethod
    def set_point(self, codename: str, point: Any) -> None:
        """Show a point from now on."""

    def reset_point(self, codename: str) -> None:
        """Show the default point again, as if none had been set."""
        self._points.reset(codename)

    @staticmethod
    def _age_from(point: Any, timestamp: float) -> float:
        """Return from when a point's age counts, given when it was set."""
        return timestamp


def _check(handler_class: Any) -> None:
    """Raise UsageError if a handler would not be asked, or not as its author thinks."""
    if hasattr(handler_class, "handle") or not hasattr(handler_class, "reply"):
        raise UsageError(
            f"handler_class {handler_class!r} must have reply(request: bytes) -> bytes, and no handle(); "
            f"derive it from PullUDPHandler and override reply"
        )


class DataPullSocket(CommonDataPullSocket):
    """Shows the last ``(x, y)`` of each codename; a point's age counts from when it was set.

    The arguments are those of `CommonDataPullSocket`, and:

    Args:
        poke_on_set: Whether setting a point shows that the socket is kept up to date.
    """

    def __init__(
        self,
        name: str | None,
        codenames: Sequence[str],
        port: int = 9010,
        default_x: Any = 0.0,
        default_y: Any = 0.0,
        timeouts: float | Sequence[float | None] | None = None,
        check_activity: bool = True,
        activity_timeout: float = 900,
        poke_on_set: bool = True,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        super().__init__(
            name, codenames, port, default_x, default_y, timeouts, check_activity, activity_timeout, host=host
        )
        self._poke_on_set = poke_on_set

    def set_point(self, codename: str, point: Any, timestamp: float | None = None) -> None:
        """Show a point from now on.

        Args:
            codename: Which one; a name that the socket was not made with is taken, and shown where all are named.
            point: ``(x, y)``, in whatever units both sides know.
            timestamp: When it was measured, seconds since 1970, from which its age counts; None: now.
        """
        self._points.set(codename, point, timestamp)
        if self._poke_on_set:
            self.poke()


class DateDataPullSocket(CommonDataPullSocket):
    """Shows the last ``(time, value)`` of each codename; a point's age counts from its own time.

    The arguments are those of `CommonDataPullSocket`, and:

    Args:
        poke_on_set: Whether setting a point shows that the socket is kept up to date.
    """

    _kind = "date"

    def __init__(
        self,
        name: str | None,
        codenames: Sequence[str],
        port: int = 9000,
        default_x: Any = 0.0,
        default_y: Any = 0.0,
        timeouts: float | Sequence[float | None] | None = None,
        check_activity: bool = True,
        activity_timeout: float = 900,
        poke_on_set: bool = True,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        super().__init__(
            name, codenames, port, default_x, default_y, timeouts, check_activity, activity_timeout, host=host
        )
        self._poke_on_set = poke_on_set

    def set_point(self, codename: str, point: Any) -> None:
        """Show a point from now on.

        Args:
            codename: Which one; a name that the socket was not made with is taken, and shown where all are named.
            point: When it was measured, seconds since 1970, and the value.
        """
        self._points.set(codename, point)
        if self._poke_on_set:
            self.poke()

    def set_point_now(self, codename: str, value: Any) -> None:
        """Show a value that was measured just now; ``codename`` as for `set_point`."""
        self.set_point(codename, (time.time(), value))

    @staticmethod
    def _age_from(point: Any, timestamp: float) -> float:
        """Return the point's own time."""
        return float(point[0])
