"""One read or write: waits for the connection, asks the server, makes the response."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.client.callbacks import run_soon
from instrumentserver.client.inbox import Consumer
from instrumentserver.client.session import time_limit
from instrumentserver.errors import CallTimeout, ConnectFailed, ServerLost, UnknownName
from instrumentserver.schema import ChannelType, to_value
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op

from .data_types import Wanted
from .errors import ChannelTimeout
from .response import ReadNotifyResponse, WriteNotifyResponse

if TYPE_CHECKING:
    from .channel import Channel
    from .pv import PV

__all__ = ["Lane", "Operation", "Read", "Write"]

_AGAIN_SECONDS: Final = 0.02
_NO_LIMIT: Final = 2**60


class Operation:
    """A request about one PV.

    Args:
        pv: The PV.
        timeout: How long it may take, seconds, from now on; None for ever.
        callback: Called with the response, on a thread for callbacks.
    """

    kind = ""
    is_repeatable = False

    def __init__(self, pv: PV, timeout: float | None, callback: Callable[[Any], Any] | None) -> None:
        self.pv = pv
        self.timeout = timeout
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.callback = callback
        self.response: Any = None
        self.error: BaseException | None = None
        self._done: threading.Event | None = None

    # What is asked

    operation = ""

    def item(self, channel: Channel) -> list[Any]:
        """Return what to ask the server for.

        Raises:
            UsageError: The data have no meaning for the channel.
        """
        raise NotImplementedError

    def make_response(self, channel: Channel, value: Any, timestamp: float) -> Any:
        """Return the response for what the server said."""
        raise NotImplementedError

    # How it is asked

    def perform(self) -> Any:
        """Ask and return the response, in this thread.

        Raises:
            ChannelTimeout: The time ran out.
            Exception: Whatever the driver raised, or what is wrong with the data.
        """
        while True:
            channel = self.pv.wait_for_channel(self.deadline, self.timeout, self.kind)
            try:
                with time_limit(self.time_left()):
                    request = [self.operation, "", [self.item(channel)]]
                    ((has_worked, *content),) = channel.circuit.request(request, [self.pv])
            except ConnectFailed:
                # Nothing was sent. The circuit hears in a moment that the server is gone.
                self.pv.context.wait_for_news(self._moment())
                continue
            except ServerLost:
                if not self.is_repeatable:
                    raise
                self.pv.context.wait_for_news(self._moment())
                continue
            except CallTimeout:
                raise self.too_late() from None
            if has_worked:
                return self.make_response(channel, *content)
            error = load_failure(content[0])
            if isinstance(error, UnknownName):
                # Its instrument was closed a moment ago, and may come again.
                channel.circuit.check([self.pv])
                if not self.pv.connected:
                    continue
            raise error

    def time_left(self) -> float | None:
        """Return how long it may take still, seconds; None for ever.

        Raises:
            ChannelTimeout: No time is left.
        """
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.too_late()
        return left

    def too_late(self) -> ChannelTimeout:
        """Return the error for no answer in time."""
        timeout = 0.0 if self.timeout is None else self.timeout
        return ChannelTimeout(
            f"{self.pv.name}: no answer to a {self.kind} within {timeout:g} s from {self.pv.place}; "
            f"the server finishes it all the same; give more time with timeout=..."
        )

    def _moment(self) -> float:
        left = self.time_left()
        return _AGAIN_SECONDS if left is None else min(left, _AGAIN_SECONDS)

    # How it is done in turn

    def run(self) -> None:
        """Perform it, keeping response or error for whoever waits; if nobody does, what fails is logged."""
        try:
            self.response = self.perform()
        except Exception as error:  # noqa: BLE001  (whoever waits raises it)
            self.fail(error)
        if self._done is not None:
            self._done.set()

    def fail(self, error: Exception) -> None:
        """Keep an error for whoever waits, or log it for nobody waits."""
        self.error = error
        if self._done is None:
            # What a server said last may be many lines.
            self.pv.log.warning(
                "%s failed: %s: %s", self.kind, type(error).__name__, str(error).partition("\n")[0]
            )

    def restart_clock(self) -> None:
        """Count the time that it may take from now on."""
        self.deadline = None if self.timeout is None else time.monotonic() + self.timeout

    def call_back(self) -> None:
        """Call the callback with the response; what it raises is logged."""
        if self.callback is None:
            return
        try:
            self.callback(self.response)
        except Exception:
            self.pv.log.exception("callback %r of a %s failed", self.callback, self.kind)

    def be_waited_for(self) -> None:
        """Have `wait` work; to be called before it is given away."""
        self._done = threading.Event()

    def wait(self) -> Any:
        """Wait for the response and return it.

        Raises:
            ChannelTimeout: The time ran out.
            Exception: Whatever failed.
        """
        assert self._done is not None
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        if not self._done.wait(left):
            raise self.too_late()
        if self.error is not None:
            raise self.error
        return self.response


class Read(Operation):
    """Reads a PV.

    Args:
        pv: The PV.
        timeout: How long it may take, seconds; None for ever.
        callback: Called with the response.
        wanted: The type that is wanted.
        count: Most elements that are wanted; None and 0 for all.
    """

    kind = "read"
    is_repeatable = True
    operation = Op.READ_CHANNELS

    def __init__(
        self,
        pv: PV,
        timeout: float | None,
        callback: Callable[[Any], Any] | None,
        wanted: Wanted,
        count: int | None,
    ) -> None:
        super().__init__(pv, timeout, callback)
        self._wanted = wanted
        self._count = count

    def item(self, channel: Channel) -> list[Any]:
        """Return what to ask the server for."""
        if self._wanted.has_limits:
            # The driver may have changed them.
            channel.circuit.check([self.pv])
        return [channel.schema.path]

    def make_response(self, channel: Channel, value: Any, timestamp: float) -> ReadNotifyResponse:
        """Return the response for what the server said."""
        current = self.pv.channel
        schema = channel.schema if current is None else current.schema
        response = ReadNotifyResponse(schema, value, timestamp, self._wanted, self._count)
        if schema.is_guessed:
            self.pv.refine(value)
        return response


class Write(Operation):
    """Writes a PV.

    Args:
        pv: The PV.
        timeout: How long it may take, seconds; None for ever.
        callback: Called with the response.
        data: What to write.
        count: How many elements of it; None and 0 for all.
    """

    kind = "write"
    operation = Op.WRITE_CHANNELS

    def __init__(
        self,
        pv: PV,
        timeout: float | None,
        callback: Callable[[Any], Any] | None,
        data: Any,
        count: int | None,
    ) -> None:
        super().__init__(pv, timeout, callback)
        self._data = (
            data[:count] if count and hasattr(data, "__getitem__") and not isinstance(data, str) else data
        )

    def item(self, channel: Channel) -> list[Any]:
        """Return what to ask the server for."""
        return [channel.schema.path, to_value(channel.schema, self._data)]

    def make_response(self, channel: Channel, value: Any, timestamp: float) -> WriteNotifyResponse:
        """Return the response for what the server said."""
        schema = channel.schema
        count = len(self._data) if isinstance(self._data, list | tuple) else 1
        return WriteNotifyResponse(schema, ChannelType(schema.type), count, timestamp)


class Lane:
    """The operations of one PV that nobody waits for, in the order in which they were issued.

    Their callbacks are called in that order, too, one at a time; they do not keep the next operation waiting.
    """

    __slots__ = ("_callbacks", "_guard", "_is_taken", "_waiting")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[Operation] = deque()
        self._is_taken = False
        self._callbacks = Consumer(
            lambda operation, lost: operation.call_back(), _NO_LIMIT, lambda position: None
        )

    @property
    def is_busy(self) -> bool:
        """Whether something is being done or waits."""
        return self._is_taken

    def add(self, operation: Operation) -> None:
        """Do an operation after those that were added before it."""
        with self._guard:
            self._waiting.append(operation)
            if self._is_taken:
                return
            self._is_taken = True
        run_soon(self)

    def take(self) -> bool:
        """Keep operations that are added from being done until `give_back`; return False if it is busy."""
        with self._guard:
            is_taken, self._is_taken = self._is_taken, True
        return not is_taken

    def give_back(self) -> bool:
        """Go on after `take`; return whether there is anything to do."""
        with self._guard:
            self._is_taken = bool(self._waiting)
        if self._is_taken:
            run_soon(self)
        return self._is_taken

    def call_back_soon(self, operation: Operation) -> None:
        """Call an operation's callback after those before it."""
        if operation.callback is not None:
            self._callbacks.put(0, [operation])

    def run(self) -> None:
        """Do the next operation; then let others have the thread."""
        operation = self._waiting.popleft()
        operation.run()
        if operation.error is None:
            self.call_back_soon(operation)
        if not self.give_back():
            operation.pv.has_rested()
