"""Batches: many reads and writes with one message for each server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from itertools import groupby
from types import TracebackType
from typing import Any, Final, Self

from instrumentserver.client.callbacks import run_soon
from instrumentserver.client.session import time_limit
from instrumentserver.errors import UsageError
from instrumentserver.wire.failures import load_failure

from .channel import Channel
from .circuit import VirtualCircuitManager
from .data_types import wanted_type
from .operation import Lane, Operation, Read, Write
from .pv import PV

__all__ = ["Batch"]

logger = logging.getLogger("instrumentserver.ch")

_TIMEOUT: Final = 2.0


class Batch:
    """Collects reads and writes, and sends them all when its block ends: one message for each server.

    Of one server, they are carried out in the order in which they were given; a message is one of reads or one of
    writes. Leaving the block does not wait for them.

    Args:
        timeout: How long they may take, seconds, with the time to connect; None for ever.
    """

    def __init__(self, timeout: float | None = _TIMEOUT) -> None:
        self._timeout = timeout
        self._operations: list[Operation] = []
        self._is_sent = False

    def read(
        self, pv: PV, callback: Callable[[Any], Any], data_type: object = None, data_count: int | None = None
    ) -> None:
        """Read a PV.

        Args:
            pv: The PV.
            callback: Called once with the response, on a thread for callbacks; not if reading fails, which is logged.
            data_type: As for `PV.read`.
            data_count: As for `PV.read`.
        """
        self._add(Read(pv, self._timeout, callback, wanted_type(data_type), data_count))

    def write(
        self,
        pv: PV,
        data: Any,
        callback: Callable[[Any], Any] | None = None,
        data_type: object = None,
        data_count: int | None = None,
    ) -> None:
        """Set a PV.

        Args:
            pv: The PV.
            data: As for `PV.write`.
            callback: Called once with the response, on a thread for callbacks; not if writing fails, which is logged.
            data_type: As for `PV.write`.
            data_count: As for `PV.write`.
        """
        wanted_type(data_type)
        self._add(Write(pv, self._timeout, callback, data, data_count))

    def _add(self, operation: Operation) -> None:
        if self._is_sent:
            raise UsageError("this batch was sent; make another one")
        operation.pv.wake()
        self._operations.append(operation)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_sent = True
        if kind is not None:
            return
        circuits: dict[int, _Message] = {}
        for operation in self._operations:
            operation.restart_clock()
            channel = operation.pv.channel
            message = (
                None
                if channel is None
                else circuits.setdefault(id(channel.circuit), _Message(channel.circuit))
            )
            if channel is None or message is None or not message.takes(operation.pv):
                # It waits by itself, for its connection or for what was issued before.
                operation.pv.lane.add(operation)
            else:
                message.add(operation, channel)
        for message in circuits.values():
            run_soon(message)


class _Message:
    """What is asked of one server."""

    def __init__(self, circuit: VirtualCircuitManager) -> None:
        self._circuit = circuit
        self._operations: list[tuple[Operation, Channel, list[Any]]] = []
        self._lanes: dict[PV, Lane] = {}

    def takes(self, pv: PV) -> bool:
        """Return whether a PV's operations can be part of this: whether it has none that were issued before."""
        if pv not in self._lanes and pv.lane.take():
            self._lanes[pv] = pv.lane
        return pv in self._lanes

    def add(self, operation: Operation, channel: Channel) -> None:
        """Ask this, too."""
        self._operations.append((operation, channel, []))

    def run(self) -> None:
        """Ask, and have the callbacks be called."""
        try:
            for kind, group in groupby(self._operations, key=lambda each: each[0].operation):
                self._send(kind, list(group))
        finally:
            for pv, lane in self._lanes.items():
                if not lane.give_back():
                    pv.has_rested()

    def _send(self, kind: str, operations: Iterable[tuple[Operation, Channel, list[Any]]]) -> None:
        asked: list[tuple[Operation, Channel, list[Any]]] = []
        for operation, channel, _ in operations:
            try:
                asked.append((operation, channel, operation.item(channel)))
            except Exception as error:  # noqa: BLE001  (it concerns this one alone)
                operation.fail(error)
        if not asked:
            return
        try:
            with time_limit(asked[0][0].time_left()):
                request = [kind, "", [item for _, _, item in asked]]
                replies = self._circuit.request(request, [operation.pv for operation, _, _ in asked])
        except Exception as error:  # noqa: BLE001  (whatever it is, all of them failed)
            for operation, _, _ in asked:
                operation.fail(error)
            return
        for (operation, channel, _), (has_worked, *content) in zip(asked, replies, strict=True):
            if not has_worked:
                operation.fail(load_failure(content[0]))
                continue
            try:
                operation.response = operation.make_response(channel, *content)
            except Exception as error:  # noqa: BLE001  (it concerns this one alone)
                operation.fail(error)
            else:
                operation.pv.lane.call_back_soon(operation)
