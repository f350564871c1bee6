"""The live server: an instrument whose parameters are the streams that live sockets send."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import ProtocolError, UsageError
from instrumentserver.instrument import Instrument

from .codec import decode
from .receiver import Receiver
from .streams import Streams
from .subscribers import LivePoint, LiveSubscription
from .tree import GrowingDict

__all__ = ["LiveServer"]

logger = logging.getLogger(__name__)

_QUEUE: Final = 1000


class LiveServer(Instrument):
    """Receives the points of the live sockets of many hosts, and shows each stream as a parameter.

    Each host is a submodule, each codename a parameter of it; their names are made identifiers: the codename
    ``temperature`` of the host ``lab-pc1`` is ``live.lab_pc1.temperature``. They appear with their first point, also
    at clients that are there already. A parameter's value is y, None after a reset. Its time is x where x is the time
    of day, within a day of this computer's clock, else when the point came. Nobody can set it.

    What comes is received in a thread of its own and never answered; what no live socket sends is refused and
    counted. Whoever reaches the port may send in anybody's name: listen at ``'127.0.0.1'`` where that is enough.

    A reset names no host. It is for the host that sent points from the same address and port; if none did, for all
    hosts of that address.

    Args:
        name: Name of the instrument.
        port: UDP port; 0 for any free one, which `port` tells.
        host: Address of this computer to listen at, ``'0.0.0.0'`` for all.
        most_streams: How many streams there are at most, a count; points of further ones are left out.
        kwargs: Passed on to QCoDeS: ``metadata`` and ``label``.

    Attributes:
        port: UDP port.
        host: Address at which it listens.

    Raises:
        PortStillReserved: Another socket has the port.
        UsageError: There is room for no stream.
        OSError: The system refuses the address or the port for another reason.
    """

    def __init__(
        self, name: str, port: int = 8100, host: str = "0.0.0.0", *, most_streams: int = 1000, **kwargs: Any
    ) -> None:
        if most_streams < 1:
            raise UsageError(f"{name}: most_streams is {most_streams}; choose 1 or more")
        super().__init__(name, **kwargs)
        if self.exist(self.name):
            # QCoDeS would notice when the port has been taken and the thread runs.
            raise KeyError(f"Another instrument has the name: {self.name}")
        self._received = self._refused = 0
        self._last_client: tuple[str, int] | None = None
        self._subscriptions: tuple[LiveSubscription, ...] = ()
        self._guard = threading.Lock()
        self.submodules = GrowingDict(self.submodules)
        self.instrument_modules = GrowingDict(self.instrument_modules)
        self.host = host
        self.port = port
        self._streams = Streams(self, most_streams, self._tell_growth)
        self._receiver = Receiver(host, port, self._take)
        self.port = self._receiver.port
        self._receiver.start()
        logger.info("%s receives at UDP port %s of %s", self.name, self.port, host)

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor and model; a live server has neither serial nor firmware."""
        return {"vendor": "instrumentserver", "model": "LiveServer", "serial": None, "firmware": None}

    def points(self) -> dict[str, dict[str, list[Any]]]:
        """Return the latest point ``[x, y]`` by host and codename, ``[None, None]`` after a reset.

        Hosts and codenames are what they call themselves.
        """
        return self._streams.points()

    def statistics(self) -> dict[str, Any]:
        """Return what it has done since it was made.

        Returns:
            Counts: ``received`` and ``refused`` datagrams, those ``overrun`` by newer ones that came too fast,
            ``points`` that were taken, and those ``left_out`` for want of room or of a name, ``streams``, points
            ``dropped`` for functions that are subscribed and too slow; and ``last_client``, host and port of the
            latest datagram's sender, None before the first.
        """
        return {
            "received": self._received,
            "refused": self._refused,
            "overrun": self._receiver.dropped,
            "points": self._streams.taken,
            "left_out": self._streams.left_out,
            "streams": self._streams.count,
            "dropped": sum(subscription.dropped for subscription in self._subscriptions),
            "last_client": self._last_client,
        }

    def subscribe(
        self,
        function: Callable[[LivePoint], object],
        host: str | None = None,
        codename: str | None = None,
        *,
        queue: int = _QUEUE,
    ) -> LiveSubscription:
        """Have a function called with each point that comes, in a thread of its own.

        Beside the parameters' own ``live.pc1.temperature.subscribe()``, this brings x as well, whatever it means, and
        streams that are yet to come. The function may be another process's, where ``live`` is a proxy.

        Args:
            function: Called with each `LivePoint`; x and y of a reset are None. It is held until the end.
            host: The only host of interest, by what it calls itself; None for all.
            codename: The only codename of interest; None for all.
            queue: How many points wait for a slow function, a count; the oldest make room, and are counted.

        Returns:
            The subscription; its `close` ends it, so does the end of a ``with``.

        Raises:
            UsageError: The function cannot be called, or the queue has no place.
        """
        subscription = LiveSubscription(function, host, codename, queue, self._unsubscribe)
        with self._guard:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def close(self) -> None:
        """Receive no more, end the subscriptions, and forget the instrument; the port is free when this returns."""
        # A constructor that failed early has none of these.
        receiver = vars(self).get("_receiver")
        if receiver is not None:
            receiver.stop()
            for subscription in self._subscriptions:
                subscription.close()
        super().close()

    def _unsubscribe(self, subscription: LiveSubscription) -> None:
        with self._guard:
            self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)

    def _take(self, datagram: bytes, sender: tuple[str, int]) -> None:
        """Take a datagram, in the receiving thread; it is counted when all has happened that it brings about."""
        self._last_client = sender
        try:
            points = self._streams.take(decode(datagram), sender, time.time())
            for subscription in self._subscriptions:
                subscription.offer(points)
        except ProtocolError as error:
            self._refused += 1
            told = logger.warning if self._refused == 1 else logger.debug
            told(
                "%s: a datagram of %s is refused (the next ones are only counted): %s",
                self.name,
                sender,
                error,
            )
        finally:
            self._received += 1

    def _tell_growth(self) -> None:
        """Have proxies look again; nothing happens where no server hosts the instrument."""
        # Servers watch a module's own dicts, which are not those that grow here, and set items count.
        self.parameters["IDN"] = self.parameters["IDN"]
