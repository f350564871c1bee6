"""PVs: parameters by name, read, written and subscribed to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from instrumentserver.schema import SubscribeOptions

from .data_types import wanted_type
from .endpoint import PV_DEFAULT_TIMEOUT, Endpoint
from .operation import Operation, Read, Write
from .response import ReadNotifyResponse, WriteNotifyResponse
from .subscription import Subscription, SubscriptionKey

__all__ = ["PV"]

_QUEUE: Final = 1000


class PV(Endpoint):
    """A parameter by name; made by `Context.get_pvs`, described at `Endpoint`.

    It connects in the background, and again whenever its server comes back. Everything may be used by any thread.
    """

    __slots__ = ()

    # Reading and writing

    def read(
        self,
        *,
        wait: bool = True,
        callback: Callable[[ReadNotifyResponse], Any] | None = None,
        timeout: float | None = PV_DEFAULT_TIMEOUT,
        data_type: object = None,
        data_count: int | None = None,
        notify: bool = True,
    ) -> ReadNotifyResponse | None:
        """Read the parameter: the driver is asked for a fresh value.

        Args:
            wait: Whether to wait for the response and return it; otherwise None is returned at once, and operations
                of this PV are carried out in the order in which they were issued.
            callback: Called with the response on a thread for callbacks; not if reading fails, which is logged.
            timeout: How long it may take, seconds, with the time to connect; None for ever.
            data_type: The type that is wanted: None or "native", "status", "time", "graphic", "control", a
                `ChannelType` or its number. An enum read as ``ChannelType.STRING`` is its label.
            data_count: Most elements that are wanted; None and 0 for all.
            notify: Of no effect; a response always comes.

        Raises:
            KeyError: ``data_type`` is a text that means no type.
            ChannelTimeout: The parameter was not found, or the server did not answer, in time.
            Exception: Whatever the driver raised.
        """
        operation = Read(self, self._limit(timeout), callback, wanted_type(data_type), data_count)
        return self._do(operation, wait)  # type: ignore[no-any-return]

    def write(
        self,
        data: Any,
        *,
        wait: bool = True,
        callback: Callable[[WriteNotifyResponse], Any] | None = None,
        timeout: float | None = PV_DEFAULT_TIMEOUT,
        notify: bool | None = None,
        data_type: object = None,
        data_count: int | None = None,
    ) -> WriteNotifyResponse | None:
        """Set the parameter; it is set when this returns.

        Args:
            data: A scalar, text, bytes, list, tuple or array. A choice is written by its number or its label.
            wait: As for `read`.
            callback: Called with the response on a thread for callbacks; not if writing fails, which is logged.
            timeout: As for `read`.
            notify: Whether a response is wanted, as it always is with ``wait`` and ``callback``.
            data_type: Of no effect but to be checked; the data say themselves what they are.
            data_count: How many elements of the data to write; None and 0 for all.

        Raises:
            ValueError: ``notify=False`` with ``wait`` or ``callback``.
            UsageError: The data have no meaning for the parameter. Nothing was sent.
            ChannelTimeout: The parameter was not found, or the server did not answer, in time. The server finishes
                what it has begun.
            ServerLost: The server went away; the parameter may have been set.
            Exception: Whatever the driver raised, at once: `NotImplementedError` for what cannot be set,
                the `ValueError` or `TypeError` of a validator, and so on.
        """
        if notify is False and (wait or callback is not None):
            raise ValueError(
                f"{self.name}: with notify=False nothing says when it was written; leave it away, or give wait=False "
                f"and no callback"
            )
        wanted_type(data_type)
        return self._do(Write(self, self._limit(timeout), callback, data, data_count), wait)  # type: ignore[no-any-return]

    def _do(self, operation: Operation, wait: bool) -> Any:
        self.context.check_usable()
        if not wait:
            self.lane.add(operation)
            return None
        # A list counts without a lock, which this would need twice for every operation.
        self._operations.append(None)
        try:
            if self._lane is not None and self._lane.is_busy:
                # Nothing overtakes what was issued before.
                operation.be_waited_for()
                self._lane.add(operation)
                return operation.wait()
            response = operation.perform()
        finally:
            self._operations.pop()
            self.has_rested()
        if operation.callback is not None:
            operation.response = response
            self.lane.call_back_soon(operation)
        return response

    # Subscribing

    def subscribe(
        self,
        data_type: object = None,
        data_count: int | None = None,
        low: float = 0,
        high: float = 0,
        to: float = 0,
        mask: Any = None,
        *,
        lossless: bool = True,
        queue: int = _QUEUE,
        interval: float = 0.0,
        deadband: float = 0.0,
        period: float | None = None,
    ) -> Subscription:
        """Return a subscription; the same object for the same arguments. It begins with its first callback.

        Args:
            data_type: As for `read`.
            data_count: As for `read`.
            low: Of no effect, as in the servers of EPICS.
            high: Of no effect.
            to: Of no effect.
            mask: Of no effect; every change is told.
            lossless: Whether every change is told, in order; otherwise the newest is enough.
            queue: How many changes are kept for a slow callback, a count; the oldest are dropped and counted.
            interval: Shortest time between two deliveries, seconds.
            deadband: Changes up to this are none, in the parameter's unit.
            period: How often the server is to read the parameter, seconds; None leaves that to others.

        Raises:
            KeyError: ``data_type`` is a text that means no type.
            UsageError: One of the others makes no sense.
        """
        options = SubscribeOptions(lossless, queue, interval, deadband, period).checked()
        key = SubscriptionKey(wanted_type(data_type), data_count or None, options, (low, high, to, mask))
        return self.context.subscription(self, key)

    def unsubscribe_all(self) -> None:
        """Clear all subscriptions; nothing arrives after this."""
        for each in list(self.subscriptions.values()):
            each.clear()
