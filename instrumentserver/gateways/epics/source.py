"""A source: one server, asked for channels, readings, writes and calls."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from instrumentserver.client.events import EventStream, stream_of
from instrumentserver.client.registry import open_session
from instrumentserver.client.subscription import Subscription
from instrumentserver.schema import ChannelSchema, SubscribeOptions
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op

from .lanes import Lanes
from .table import Function

__all__ = ["Source"]


class Source:
    """One server, as the gateway uses it.

    Its methods block until the server has answered, unless they say otherwise.

    Args:
        address: The server's address; it need not be there yet.
        instruments: The names of those that are served, None for all.
        lanes: Where to wait for answers.
    """

    def __init__(self, address: str, instruments: Collection[str] | None, lanes: Lanes) -> None:
        self.address = address
        self.lanes = lanes
        self._wanted = None if instruments is None else frozenset(instruments)
        self._session = open_session(address)

    @property
    def stream(self) -> EventStream:
        """Tells when the server or its instruments come and go."""
        return stream_of(self._session)

    def wants(self, instrument: str) -> bool:
        """Return whether an instrument is served."""
        return self._wanted is None or instrument in self._wanted

    def submit(self, path: str, task: Callable[[], None], *, can_wait: bool = False) -> None:
        """Have a task be run in the line of those that concern one instrument; does not block.

        Args:
            path: The instrument's name, or the path of a part of it.
            task: What to do.
            can_wait: Whether tasks that cannot wait go before it.
        """
        self.lanes.submit(self._lane(path), task, can_wait=can_wait)

    def submit_later(self, seconds: float, path: str, task: Callable[[], None]) -> None:
        """Submit a task after some time; "" as path is the line of what concerns the server only."""
        self.lanes.submit_later(seconds, self._lane(path), task)

    def _lane(self, path: str) -> str:
        return f"{self.address}/{path.partition('.')[0]}"

    def channels(self) -> list[ChannelSchema]:
        """Return the parameters of the served instruments that can be channels."""
        rows = self._session.request([Op.CHANNELS, "", None])[1]
        found = [ChannelSchema(*row) for row in rows]
        return [schema for schema in found if self.wants(schema.path.partition(".")[0])]

    def functions(self, instrument: str) -> list[Function]:
        """Return the functions of an instrument."""
        modules = self._session.request([Op.SCHEMA, instrument])[1].modules
        return [
            Function(f"{module.path}.{function.name}", function.doc or "", len(function.validators))
            for module in modules
            for function in module.functions
        ]

    def read(self, path: str) -> tuple[Any, float]:
        """Return a parameter's value, read anew, and the time by the server's clock, seconds since 1970.

        The time is 0 for a parameter that can only be set, and never was.

        Raises:
            Exception: What the driver raised, or `ConnectFailed` or `ServerLost`.
        """
        reply = self._session.request([Op.READ_CHANNELS, "", [[path]]])[1][0]
        if not reply[0]:
            raise load_failure(reply[1])
        return reply[1], reply[2]

    def write(self, path: str, value: Any) -> None:
        """Set a parameter.

        Raises:
            Exception: As for `read`.
        """
        reply = self._session.request([Op.WRITE_CHANNELS, "", [[path, value]]])[1][0]
        if not reply[0]:
            raise load_failure(reply[1])

    def call(self, path: str, arguments: list[Any]) -> Any:
        """Call a function and return what it returns.

        Raises:
            Exception: As for `read`.
        """
        return self._session.request([Op.CALL, path, "", arguments, {}])[1]

    def subscription(self, path: str, period: float | None, queue: int) -> Subscription:
        """Return a subscription to every change of a parameter; does not block.

        Args:
            path: The parameter's path.
            period: How often the server is to read it, seconds; None for not at all.
            queue: How many changes are kept while we are slow.
        """
        options = SubscribeOptions(lossless=True, queue=queue, period=period)
        subscription = Subscription(options, f"{self.address}/{path}")
        subscription.bind(self._session, path)
        return subscription
