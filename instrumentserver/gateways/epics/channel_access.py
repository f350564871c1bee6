"""Serving by Channel Access: caproto's server in a thread of its own, with our channels."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from caproto.asyncio.server import Context
from caproto.asyncio.utils import _TransportWrapper

from instrumentserver.errors import UsageError

from .ca_channel import ServedChannel, new_channel
from .ca_circuit import Circuit, Monitor, record_of
from .feed import Feed
from .reading import Reading

__all__ = ["ChannelAccess"]

logger = logging.getLogger(__name__)

_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 5.0
_SEARCH_SECONDS: Final = 1.0
"""How long clients have to find a channel that has come back."""
_MOST_AT_ONCE: Final = 500
"""Readings that are sent before others have their turn, a count."""


class ChannelAccess:
    """Serves feeds by Channel Access, from its making until `close`.

    Args:
        interfaces: Addresses of this computer to listen on; empty for what ``EPICS_CAS_INTF_ADDR_LIST`` says.
        port: Where clients search and, if it is free, connect; 0 for any free one, None for what
            ``EPICS_CA_SERVER_PORT`` says.

    Attributes:
        port: Where clients search.

    Raises:
        UsageError: It cannot listen there.
    """

    def __init__(self, interfaces: Sequence[str] = (), port: int | None = None) -> None:
        self._interfaces = list(interfaces) or None
        self._wanted_port = port
        self.port = 0
        self._is_ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="channel access", daemon=True)
        self._thread.start()
        self._is_ready.wait(_START_SECONDS)
        if self._failure is not None or not self._is_ready.is_set():
            raise UsageError(
                f"Channel Access cannot be served on {', '.join(interfaces) or 'all interfaces'}, port "
                f"{self.port}: {self._failure or 'it does not begin'}; choose other ones, or leave it out"
            ) from self._failure

    def add(self, feed: Feed) -> None:
        """Serve a feed."""
        self._loop.call_soon_threadsafe(self._server.add, feed)

    def remove(self, name: str) -> None:
        """Serve a process variable no more; its clients are told."""
        self._loop.call_soon_threadsafe(self._server.remove, name)

    def describe(self, feed: Feed) -> None:
        """Take over another unit, label or limits of a feed."""
        self._loop.call_soon_threadsafe(self._server.describe, feed)

    def close(self) -> None:
        """End; clients see that the server is gone."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(_STOP_SECONDS)

    def _end(self) -> None:
        self._server.stop_listening()
        self._task.cancel()

    def _run(self) -> None:
        try:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            if self._is_ready.is_set():
                logger.exception("Channel Access has ended")
        finally:
            self._is_ready.set()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        self._server = _Server(self._interfaces, self._is_ready)
        if self._wanted_port is not None:
            self._server.ca_server_port = self._wanted_port or _free_port(self._server.interfaces)
        self.port = self._server.ca_server_port
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        try:
            await self._server.run()
        finally:
            await self._server.shut()


class _Server(Context):
    """caproto's server, with our circuits and channels. All methods are for its event loop, but `pass_on`.

    Args:
        interfaces: Where to listen; None for what the environment says.
        is_ready: Set when it can be found.
    """

    CircuitClass = Circuit

    def __init__(self, interfaces: list[str] | None, is_ready: threading.Event) -> None:
        super().__init__({}, interfaces)
        self._is_ready = is_ready
        self._loop = asyncio.get_running_loop()
        self._listeners: list[asyncio.Server] = []
        self._inbox: deque[tuple[ServedChannel, Reading]] = deque()
        self._is_woken = False

    # What is served

    def add(self, feed: Feed) -> None:
        """Serve a feed."""
        self.pvdb[feed.name] = new_channel(feed, self.pass_on)
        if any(feed.name in circuit.dropped for circuit in self.circuits):
            self._loop.call_later(_SEARCH_SECONDS, self._drop_lost, feed.name)

    def _drop_lost(self, name: str) -> None:
        """Disconnect clients that do not look for a channel that had gone: caproto's look for one no more."""
        for circuit in list(self.circuits):
            if name in circuit.dropped and name in self.pvdb:
                logger.info("%s is disconnected, so that it finds %s again", circuit.who, name)
                circuit.dropped.clear()
                circuit.client.close()

    def describe(self, feed: Feed) -> None:
        """Take over another unit, label or limits."""
        channel = self.pvdb.get(feed.name)
        if channel is not None:
            channel.describe(feed.schema)
            self._forget_fields(feed.name)

    def remove(self, name: str) -> None:
        """Serve a process variable, and its fields, no more."""
        self.pvdb.pop(name, None)
        self._forget_fields(name)
        for circuit in list(self.circuits):
            for sid, chan in list(circuit.circuit.channels_sid.items()):
                if record_of(chan.name) == name:
                    circuit.dropped.add(name)
                    circuit.tasks.create(circuit.drop_channel(sid, chan))

    def _forget_fields(self, name: str) -> None:
        """Forget the fields of a process variable that caproto has looked up."""
        for field in [known for known in self.pvdb if known.startswith(f"{name}.")]:
            del self.pvdb[field]

    # Readings

    def pass_on(self, channel: ServedChannel, reading: Reading) -> None:
        """Take over a reading that comes from any thread; many of them wake the loop once."""
        self._inbox.append((channel, reading))
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._begin_sending)
            except RuntimeError:
                pass  # The server has ended.

    def _begin_sending(self) -> None:
        self._loop.create_task(self._send_inbox())

    async def _send_inbox(self) -> None:
        """Send what has come in; after some, others have their turn."""
        # First: what comes from now on wakes the loop again.
        self._is_woken = False
        touched: set[Circuit] = set()
        for _ in range(_MOST_AT_ONCE):
            if not self._inbox:
                break
            channel, reading = self._inbox.popleft()
            channel.take(reading)
            channel.has_reading = True
            await self._send(channel, touched)
        for circuit in touched:
            circuit.flush()
        if self._inbox and not self._is_woken:
            self._is_woken = True
            self._loop.call_soon(self._begin_sending)

    async def _send(self, channel: ServedChannel, touched: set[Circuit]) -> None:
        """Put a channel's reading into the outboxes of those who monitor it."""
        for monitor in list(channel.monitors.values()):
            circuit = monitor.circuit
            if not circuit.events_on.is_set():
                monitor.is_behind = True
                continue
            circuit.put(monitor, await monitor.message())
            touched.add(circuit)
        if channel._queues:
            channel.fill()
            await channel.publish(0)

    def send_latest(self, monitor: Monitor) -> None:
        """Send the reading that is known."""
        self._loop.create_task(self._send_one(monitor))

    async def _send_one(self, monitor: Monitor) -> None:
        monitor.circuit.put(monitor, await monitor.message())
        monitor.circuit.flush()

    # caproto's own parts that need another way

    async def server_accept_loop(self, sock: Any) -> None:
        """Take connections, until `shut`."""
        self._listeners.append(await asyncio.start_server(self._accept, sock=sock))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = _TransportWrapper(reader, writer)
        self.server_tasks.create(self.tcp_handler(transport, transport.getpeername()))

    def stop_listening(self) -> None:
        """Take no more connections."""
        for listener in self._listeners:
            listener.close()

    async def shut(self) -> None:
        """Close what caproto leaves to the garbage collection."""
        for circuit in list(self.circuits):
            circuit.client.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _subscription_queue_iteration(
        self, sub_specs: Any, metadata: Any, values: Any, flags: Any, sub: Any
    ) -> None:
        """Send an update to those whose monitors have filters; some may go meanwhile."""
        for spec in sub_specs:
            for each in [sub] if sub is not None else list(self.subscriptions[spec]):
                await super()._subscription_queue_iteration((spec,), metadata, values, flags, each)

    async def broadcast_beacon_loop(self) -> None:
        """Tell clients that there is a server; by then it can be found."""
        self._is_ready.set()
        if self.port != self.ca_server_port:
            logger.warning(
                "another Channel Access server of this computer has port %d: clients that search the computer by its "
                "address find one of the two only; give each its own port",
                self.ca_server_port,
            )
        if all(interface.startswith("127.") for interface in self.interfaces):
            # Nobody elsewhere could connect.
            for address in [each for each in self.beacon_socks if not each[0].startswith("127.")]:
                self.beacon_socks.pop(address)[1].close()
        logging.getLogger("caproto.ctx").addFilter(_without_beacons)
        await super().broadcast_beacon_loop()


def _without_beacons(record: logging.LogRecord) -> bool:
    """Return False for the complaint that nobody listens to beacons, which is so where no repeater runs."""
    return not str(record.msg).startswith("Failed to send beacon")


def _free_port(interfaces: Sequence[str]) -> int:
    """Return a port that is free for searching and for connections."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searching, socket.socket() as connecting:
            searching.bind((interfaces[0], 0))
            port: int = searching.getsockname()[1]
            try:
                connecting.bind((interfaces[0], port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
