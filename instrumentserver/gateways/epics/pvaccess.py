"""Serving by PVAccess: p4p's server, with our process variables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any, Final

from p4p import Type, Value
from p4p.server import Server, StaticProvider
from p4p.server.raw import SharedPV

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema

from .feed import Feed
from .pva_value import arguments_of, changed_fields, first_value, result_value, type_for, written
from .reading import Reading, shown
from .source import Source
from .table import Function, Row

__all__ = ["PvAccess"]

logger = logging.getLogger(__name__)

_LANE: Final = "pvaccess"
"""Where clients come and go, in order."""


class PvAccess:
    """Serves feeds and functions by PVAccess, from its making until `close`.

    Args:
        interfaces: Addresses of this computer to listen on; empty for what ``EPICS_PVAS_INTF_ADDR_LIST`` says.
        port: Where clients connect; 0 for any free one, None for what ``EPICS_PVAS_SERVER_PORT`` says.
        search_port: Where clients search; the same, ``EPICS_PVAS_BROADCAST_PORT``.

    Attributes:
        conf: The settings of a client that is to find it, by the names of environment variables.

    Raises:
        UsageError: It cannot listen there.
    """

    def __init__(
        self, interfaces: Sequence[str] = (), port: int | None = None, search_port: int | None = None
    ) -> None:
        asked = {
            "EPICS_PVAS_INTF_ADDR_LIST": " ".join(interfaces) or None,
            "EPICS_PVAS_SERVER_PORT": None if port is None else str(port),
            "EPICS_PVAS_BROADCAST_PORT": None if search_port is None else str(search_port),
        }
        self._provider = StaticProvider()
        self._served: dict[str, _ServedParameter | _ServedFunction] = {}
        try:
            self._server = Server(
                providers=[self._provider],
                conf={name: value for name, value in asked.items() if value is not None},
                useenv=True,
            )
        except Exception as error:
            where = ", ".join(f"{name}={value}" for name, value in asked.items() if value is not None)
            raise UsageError(
                f"PVAccess cannot be served ({where or 'as the environment says'}): {error}; choose another interface "
                f"or port, or leave it out"
            ) from error
        self.conf: dict[str, str] = self._server.conf()

    @property
    def port(self) -> int:
        """Where clients connect."""
        return int(self.conf["EPICS_PVAS_SERVER_PORT"])

    def add(self, feed: Feed, source: Source) -> None:
        """Serve a feed."""
        self._serve(feed.name, _ServedParameter(feed, source))

    def add_function(self, row: Row, source: Source) -> None:
        """Serve a function."""
        self._serve(row.name, _ServedFunction(row, source))

    def remove(self, name: str) -> None:
        """Serve a process variable no more; its clients are told."""
        served = self._served.pop(name, None)
        if served is not None:
            self._provider.remove(name)
            served.pv.close(destroy=True)

    def describe(self, feed: Feed) -> None:
        """Take over another unit, label or limits of a feed."""
        served = self._served.get(feed.name)
        if isinstance(served, _ServedParameter):
            served.describe()

    def close(self) -> None:
        """End; clients see that the server is gone."""
        self._server.stop()
        for served in self._served.values():
            served.pv.close(destroy=True)
        self._served.clear()

    def _serve(self, name: str, served: _ServedParameter | _ServedFunction) -> None:
        self._served[name] = served
        self._provider.add(name, served.pv)


class _ServedParameter:
    """A parameter as a process variable; p4p calls it on threads of its own, which must not wait.

    The process variable is open, which is to say that its clients have a value, while there are clients: who comes
    first waits for a fresh reading.

    Args:
        feed: Reads, writes and follows the parameter.
        source: Its server.
    """

    def __init__(self, feed: Feed, source: Source) -> None:
        assert isinstance(feed.schema, ChannelSchema)
        self._feed = feed
        self._lanes = source.lanes
        self._kind: Type = type_for(feed.schema)
        self._is_wanted = False
        self._is_watching = False
        self._is_open = False
        self._is_whole = True
        self._guard = threading.RLock()
        self.pv = SharedPV(handler=self)

    def post(self, reading: Reading) -> None:
        """Pass a reading on to the clients."""
        schema = self._feed.schema
        with self._guard:
            if not self._is_open:
                self._is_open = True
                self.pv.open(first_value(self._kind, schema, reading))
            elif self._is_whole:
                self.pv.post(Value(self._kind, changed_fields(schema, reading)))
            else:
                self.pv.post(first_value(self._kind, schema, reading))
            self._is_whole = True

    def describe(self) -> None:
        """Tell another unit, label or limits with the next reading."""
        self._is_whole = False

    def onFirstConnect(self, pv: SharedPV) -> None:
        """Hear of a first client."""
        self._is_wanted = True
        self._lanes.submit(_LANE, self._settle)

    def onLastDisconnect(self, pv: SharedPV) -> None:
        """Hear that the last client is gone."""
        self._is_wanted = False
        self._lanes.submit(_LANE, self._settle)

    def _settle(self) -> None:
        """Watch while there are clients; what they did last counts."""
        if self._is_wanted and not self._is_watching:
            self._is_watching = True
            self._feed.watch(self)
        elif not self._is_wanted and self._is_watching:
            self._is_watching = False
            self._feed.unwatch(self)
            with self._guard:
                self._is_open = False
                self.pv.close()

    def put(self, pv: SharedPV, operation: Any) -> None:
        """Have a client's value be set; it is answered when that has been done, or has failed."""
        if not self._feed.schema.settable:
            operation.done(error=f"{self._feed.name} can only be read")
            return
        try:
            data = written(self._feed.schema, operation.value())
        except ValueError as error:
            operation.done(error=str(error))
            return
        self._feed.write(data, _who(operation), lambda error: _done(operation, error))


class _ServedFunction:
    """A function as a process variable that can be called.

    Args:
        row: Its name and path.
        source: Its server.
    """

    def __init__(self, row: Row, source: Source) -> None:
        assert isinstance(row.what, Function)
        self._row = row
        self._source = source
        self.pv = SharedPV(handler=self, initial=Value(Type([])))

    def rpc(self, pv: SharedPV, operation: Any) -> None:
        """Have a client's call be made; it is answered with what the function returned, or with why it failed."""
        try:
            arguments = arguments_of(operation.value())
        except (TypeError, ValueError) as error:
            operation.done(error=f"the arguments of {self._row.name} cannot be read: {error}")
            return
        who = _who(operation)
        self._source.submit(self._row.path, lambda: self._call(operation, arguments, who))

    def _call(self, operation: Any, arguments: list[Any], who: str) -> None:
        logger.info("%s%r is called by %s", self._row.name, tuple(arguments), who)
        try:
            result = result_value(self._source.call(self._row.path, arguments))
        except Exception as error:  # noqa: BLE001  (told to the client)
            operation.done(error=shown(error))
            return
        operation.done(result)


def _who(operation: Any) -> str:
    return f"{operation.account()} ({operation.peer()})"


def _done(operation: Any, error: Exception | None) -> None:
    if error is None:
        operation.done()
    else:
        operation.done(error=shown(error))
