"""Circuits: what caproto's server does for one client, with reads, writes and monitors that wait for instruments.

caproto's own circuit does a client's requests one after the other, so that a slow instrument would hold up all others.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Awaitable
from typing import Any, Final, cast

import caproto as ca
from caproto import CAStatus
from caproto._backend import backend
from caproto._dbr import _LongStringChannelType, native_type
from caproto._utils import ConversionDirection
from caproto.asyncio.server import VirtualCircuit
from caproto.server.common import DisconnectedCircuit

from .ca_channel import ServedChannel
from .ca_payload import update_header
from .reading import shown

__all__ = ["Circuit", "Monitor", "record_of"]

logger = logging.getLogger(__name__)

_MOST_WAITING: Final = 50_000
_MOST_WAITING_SIZE: Final = 1 << 23
"""Updates that are kept for one monitor whose client is slow: a count, and bytes."""
_MOST_UNSENT: Final = 1 << 18
"""Bytes that the system has not taken yet, beyond which updates wait here."""
_MOST_REQUESTS: Final = 20_000
"""Requests of one client that are not answered yet, a count."""
_WRITES: Final = (ca.WriteRequest, ca.WriteNotifyRequest)
_READS: Final = (ca.ReadRequest, ca.ReadNotifyRequest)
_ACKNOWLEDGEMENTS: Final = (ca.ChannelType.PUT_ACKS, ca.ChannelType.PUT_ACKT)


class Monitor:
    """A client's wish to be sent every reading of a channel.

    Args:
        circuit: The client's.
        chan: The channel, as caproto's protocol code has it.
        channel: The channel.
        request: What the client sent.
    """

    def __init__(self, circuit: Circuit, chan: Any, channel: ServedChannel, request: Any) -> None:
        self.circuit = circuit
        self.channel = channel
        self.data_type = _type_for(chan, request.data_type)
        self._chan = chan
        self._count: int = request.data_count
        self._id: int = request.subscriptionid
        self.messages: deque[bytes] = deque()
        self.is_behind = False

    async def message(self) -> bytes:
        """Return what to send for the channel's latest reading."""
        packed = self.channel.packed(self.data_type, self._count)
        if packed is not None:
            payload, count = packed
            return update_header(self.data_type, len(payload), count, self._id) + payload
        metadata, data = await self.channel._read(self.data_type)
        if self._count:
            data = data[: self._count]
        response = self._chan.subscribe(
            data=data,
            metadata=metadata,
            data_type=self.data_type,
            data_count=len(data),
            subscriptionid=self._id,
            status=1,
        )
        return bytes(response)


class Circuit(VirtualCircuit):
    """One client's connection.

    Args:
        circuit: caproto's protocol code.
        client: The socket.
        context: The server.

    Attributes:
        dropped: Names of channels that the client had, that have gone, and that it has not found again.
    """

    def __init__(self, circuit: Any, client: Any, context: Any) -> None:
        super().__init__(circuit, client, context)
        # asyncio does so for sockets that know their protocol; caproto's do not.
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._monitors: dict[int, Monitor] = {}
        # Whose turn it is: each monitor as often as it has messages, and perhaps once more often.
        self._outbox: deque[Monitor] = deque()
        self._is_waiting = False
        self._lost = 0
        self.dropped: set[str] = set()

    @property
    def who(self) -> str:
        """The client, as it says itself, and from where."""
        host, port = self.circuit.address[:2]
        return f"{self.client_username or 'somebody'}@{self.client_hostname or host} ({host}:{port})"

    # Requests

    async def _process_command(self, command: Any) -> Any:
        """Do what a client asks for, or begin to."""
        if isinstance(command, (*_READS, *_WRITES, ca.EventAddRequest)):
            chan, channel = self._get_db_entry_from_command(command)
            if isinstance(channel, ServedChannel) and command.data_type not in _ACKNOWLEDGEMENTS:
                self._begin(command, chan, channel)
                return []
        elif isinstance(command, ca.EventCancelRequest):
            monitor = self._monitors.get(command.subscriptionid)
            if monitor is not None:
                self._end_monitor(command.subscriptionid)
                return [monitor._chan.unsubscribe(command.subscriptionid, command.data_type, monitor._count)]
        elif isinstance(command, ca.ClearChannelRequest):
            self._end_monitors_of(command.sid)
        elif isinstance(command, ca.EventsOffRequest):
            for monitor in self._monitors.values():
                monitor.is_behind = monitor.is_behind or bool(monitor.messages)
                monitor.messages.clear()
        elif isinstance(command, ca.CreateChanRequest):
            self.dropped.discard(record_of(command.name))
        response = await super()._process_command(command)
        if isinstance(command, ca.EventsOnRequest):
            self._catch_up()
        return response

    def _begin(self, command: Any, chan: Any, channel: ServedChannel) -> None:
        """Begin a read, a write or a monitor; the answer comes when it is there."""
        if len(self.tasks.tasks) > _MOST_REQUESTS:
            logger.warning("%s does not wait for answers: it is disconnected", self.who)
            self.client.close()
        elif isinstance(command, _READS):
            self.tasks.create(self._answered(command, self._read(command, chan, channel)))
        elif isinstance(command, _WRITES):
            self.tasks.create(self._answered(command, self._write(command, chan, channel)))
        elif _is_filtered(chan):
            self.tasks.create(super()._process_command(command))
        else:
            self._begin_monitor(Monitor(self, chan, channel, command), command.subscriptionid)

    async def _command_queue_iteration(self, command: Any) -> Any:
        """Do what a client asks for; requests for channels that have just gone are ignored."""
        try:
            return await super()._command_queue_iteration(command)
        except KeyError:
            self.log.debug("%r is about a channel that is gone", command)
            return None

    async def _answered(self, command: Any, answering: Awaitable[list[Any]]) -> None:
        """Send an answer when it is there."""
        try:
            messages = await answering
        except Exception as error:
            logger.exception("%r of %s failed", command, self.who)
            messages = _refusal(
                command, self.circuit.channels_sid.get(command.sid), CAStatus.ECA_INTERNAL, shown(error)
            )
        try:
            if self.connected and command.sid in self.circuit.channels_sid:
                await self.send(*messages)
        except DisconnectedCircuit:
            pass  # The receiving task notices, too.

    async def _read(self, command: Any, chan: Any, channel: ServedChannel) -> list[Any]:
        """Return the answer to a read."""
        channel.take_read(await channel.read_now())
        if _is_filtered(chan):
            return cast("list[Any]", await super()._process_command(command))
        metadata, data = await channel._read(_type_for(chan, command.data_type))
        if command.data_count > 0 or self.circuit.protocol_version < 13:
            data = data[: command.data_count]
        count = channel.calculate_length(data)
        notify = isinstance(command, ca.ReadNotifyRequest)
        arguments = {"data_type": command.data_type, "data_count": count, "status": 1, "ioid": command.ioid}
        return [chan.read(data=data, metadata=metadata, notify=notify, **arguments)]

    async def _write(self, command: Any, chan: Any, channel: ServedChannel) -> list[Any]:
        """Return the answer to a write, none if the client wants none."""
        if not channel.feed.schema.settable:
            return _refusal(command, chan, CAStatus.ECA_NOWTACCESS, f"{channel.feed.name} can only be read")
        try:
            data = _written(command, channel)
        except Exception as error:  # noqa: BLE001  (told to the client)
            reason = f"{channel.feed.name} cannot be set to what was written: {shown(error)}"
            return _refusal(command, chan, CAStatus.ECA_PUTFAIL, reason)
        refused = await channel.write_now(data, self.who)
        if refused is not None:
            return _refusal(command, chan, CAStatus.ECA_PUTFAIL, shown(refused))
        if isinstance(command, ca.WriteRequest):
            return []
        return [chan.write(ioid=command.ioid, status=1, data_count=command.data_count)]

    # Monitors

    def _begin_monitor(self, monitor: Monitor, number: int) -> None:
        channel = monitor.channel
        if number in self._monitors:
            self._end_monitor(number)
        self._monitors[number] = monitor
        channel.monitors[self, number] = monitor
        channel.join(monitor)
        if channel.has_reading:
            self.context.send_latest(monitor)

    def _end_monitor(self, number: int) -> None:
        monitor = self._monitors.pop(number)
        # What waits must not follow the answer to the end.
        monitor.messages.clear()
        del monitor.channel.monitors[self, number]
        monitor.channel.leave(monitor)

    def _end_monitors_of(self, sid: int) -> None:
        for number, monitor in list(self._monitors.items()):
            if monitor._chan.sid == sid:
                self._end_monitor(number)

    def put(self, monitor: Monitor, message: bytes) -> None:
        """Add an update to what is to be sent by `flush`; the oldest ones of a slow client's monitor are dropped."""
        waiting = monitor.messages
        if waiting and (len(waiting) >= _MOST_WAITING or len(waiting) * len(message) > _MOST_WAITING_SIZE):
            waiting.popleft()
            self._lost += 1
        else:
            self._outbox.append(monitor)
        waiting.append(message)

    def flush(self) -> None:
        """Send what was put, as far as the client takes it."""
        writer = self.client.writer
        while self._outbox and self.connected:
            if writer.transport.get_write_buffer_size() > _MOST_UNSENT:
                if not self._is_waiting:
                    self._is_waiting = True
                    self.tasks.create(self._flush_later())
                return
            messages = []
            size = 0
            while self._outbox and size < _MOST_UNSENT:
                waiting = self._outbox.popleft().messages
                if waiting:
                    messages.append(waiting.popleft())
                    size += len(messages[-1])
            writer.write(b"".join(messages))
        self._outbox.clear()

    async def _flush_later(self) -> None:
        try:
            await self.client.writer.drain()
        except OSError:
            return  # The receiving task notices, too.
        finally:
            self._is_waiting = False
        if self._lost:
            logger.warning("%s is slow: %d updates were dropped", self.who, self._lost)
            self._lost = 0
        self.flush()

    def _catch_up(self) -> None:
        """Send the latest reading where updates were left out because the client did not want any."""
        for monitor in self._monitors.values():
            if monitor.is_behind:
                monitor.is_behind = False
                self.context.send_latest(monitor)

    # The end

    async def drop_channel(self, sid: int, chan: Any) -> None:
        """Tell the client that a channel is gone."""
        self._end_monitors_of(sid)
        await self._cull_subscriptions(None, lambda subscription: subscription.channel.sid == sid)
        try:
            await self.send(ca.ServerDisconnResponse(cid=chan.cid))
        except DisconnectedCircuit:
            pass

    async def _on_disconnect(self) -> None:
        for number in list(self._monitors):
            self._end_monitor(number)
        await super()._on_disconnect()


def record_of(name: str) -> str:
    """Return the name of the process variable in a name that may go on with a field or filters."""
    return name.partition(".")[0]


def _is_filtered(chan: Any) -> bool:
    """Return whether a client asked for a channel with one of the filters that caproto implements."""
    return any(chan.channel_filter)


def _type_for(chan: Any, data_type: Any) -> Any:
    """Return the type in which a client wants data: by the name of the channel, text may be long."""
    if chan.name.endswith("$"):
        try:
            return _LongStringChannelType(data_type)
        except ValueError:
            pass
    return data_type


def _written(command: Any, channel: ServedChannel) -> Any:
    """Return what a client wrote, in the channel's type."""
    return backend.convert_values(
        values=command.data,
        from_dtype=native_type(command.data_type),
        to_dtype=channel.data_type,
        string_encoding=channel.string_encoding,
        enum_strings=channel._data.get("enum_strings"),
        direction=ConversionDirection.FROM_WIRE,
    )


def _refusal(command: Any, chan: Any, status: CAStatus, reason: str) -> list[Any]:
    """Return the answers that say why a request is not done.

    The first has the words. Clients that do not know to which request it belongs find that out by the second one.
    """
    if chan is None:
        return []
    messages = [ca.ErrorResponse(command, chan.cid, status=status, error_message=reason)]
    if isinstance(command, ca.WriteNotifyRequest):
        messages.append(chan.write(ioid=command.ioid, status=status, data_count=command.data_count))
    return messages
