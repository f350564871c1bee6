"""The push socket: programs send data or commands."""

from __future__ import annotations

import queue as queues
import threading
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import UsageError

from ..activity import Activity
from ..serving import ServingSocket
from .callbacks import CallBackThread
from .codec import RETURN_FORMATS
from .handler import Answer, PushUDPHandler
from .received import Received

__all__ = ["DataPushSocket"]

_ACTIONS: Final = ["store_last", "enqueue", "callback_async", "callback_direct"]
# Pushes come faster than any callback; beyond this they are refused rather than eating up the memory.
_MOST_PENDING: Final = 100_000


class DataPushSocket(ServingSocket):
    """Receives dicts, stores the last one and the last value of every key, and hands each on as ``action`` says.

    Args:
        name: What the socket says if it is asked who it is, ASCII.
        port: UDP port; 0 for any free one, which ``port`` tells.
        action: ``'store_last'``: nothing more. ``'enqueue'``: each dict is put in `queue`. ``'callback_async'``:
            ``callback`` is called with each dict, in order, in a thread of its own. ``'callback_direct'``: it is
            called before the reply, in the socket's thread, and what it returns is the reply.
        queue: The queue for ``'enqueue'``; None: one without a limit. Pushes are refused while it is full.
        callback: Function of a dict.
        return_format: ``'json'``, ``'raw'`` or ``'string'``: how a direct callback's result is sent.
        check_activity: Whether ``status`` tells if somebody pokes the socket; pushes do not.
        activity_timeout: Seconds without `poke` after which it tells that nobody does.
        host: Address of this computer to listen at. ``'127.0.0.1'`` is recommended where only programs of this
            computer send; ``'0.0.0.0'``, as in the field, lets everybody on the network send.

    Raises:
        UsageError: The arguments do not go together. It is a ValueError.
        PortStillReserved: Another socket has the port.
    """

    def __init__(
        self,
        name: str,
        port: int = 8500,
        action: str = "store_last",
        queue: queues.Queue[Any] | None = None,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        return_format: str = "json",
        check_activity: bool = False,
        activity_timeout: float = 900,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        _check(action, queue, callback, return_format)
        self.action = action
        self.return_format = return_format
        self._queue = queue
        self._callbacks: CallBackThread | None = None
        if action == "enqueue" and queue is None:
            self._queue = queues.Queue()
        elif action == "callback_async":
            assert callback is not None
            self._queue = queues.Queue(_MOST_PENDING)
            self._callbacks = CallBackThread(self._queue, callback)
        direct = callback if action == "callback_direct" else None
        shown = {"action": action, "queue": self._queue, "return_format": return_format}
        self._received = Received(shown)
        self._handler = PushUDPHandler(name, self._received, self._queue, direct, return_format)
        super().__init__(
            "push",
            name,
            host,
            port,
            self._handler,
            Activity(check_activity, activity_timeout),
            shown,
            is_guarded=False,
        )

    @property
    def queue(self) -> queues.Queue[Any] | None:
        """The queue of dicts that nobody has taken yet; None for the actions that have none."""
        return self._queue

    @property
    def last(self) -> tuple[float | None, dict[str, Any] | None]:
        """When the last dict came, seconds since 1970, and a copy of it; ``(None, None)`` if there is none."""
        return self._received.last()

    @property
    def updated(self) -> tuple[float | None, dict[str, Any]]:
        """When the last dict came, and a copy of the last value of every key; ``(None, {})`` if there is none."""
        return self._received.updated()

    def set_last_to_none(self) -> None:
        """Forget the last dict."""
        self._received.forget_last()

    def clear_updated(self) -> None:
        """Forget the last values of all keys."""
        self._received.forget_updated()

    def attach(self, answer: Answer) -> None:
        """Have a function answer pushes, which are stored first, until `detach`.

        Raises:
            UsageError: The socket's action is another one than ``'store_last'``, or a function answers already.
        """
        if self.action != "store_last":
            raise UsageError(f"the socket's action is '{self.action}'; make it with action='store_last'")
        self._handler.attach(answer)

    def detach(self, answer: Answer) -> None:
        """Have a function not answer any more; a reply that is being made is sent all the same."""
        self._handler.detach(answer)

    def run(self) -> None:
        """Answer, and call an asynchronous callback, until `stop`; `start` calls this."""
        if self._callbacks is not None:
            self._callbacks.start()
        super().run()

    def stop(self) -> None:
        """End the service as every socket does; dicts that an asynchronous callback did not get yet are dropped."""
        super().stop()
        if self._callbacks is not None and threading.current_thread() is not self:
            self._callbacks.stop()


def _check(action: str, queue: object, callback: object, return_format: str) -> None:
    """Raise UsageError if the arguments do not go together."""
    if action not in _ACTIONS:
        raise UsageError(f"Unknown action '{action}'. Must be one of: {_ACTIONS}")
    if queue is not None and action != "enqueue":
        raise UsageError(f"A queue can only be given with the action 'enqueue', not with '{action}'")
    if action in ("callback_async", "callback_direct"):
        if not callable(callback):
            raise UsageError(f"Value for callback: '{callback}' is not callable")
    elif callback is not None:
        raise UsageError(
            f"A callback can only be given with the actions 'callback_async' and 'callback_direct', not with '{action}'"
        )
    if return_format not in RETURN_FORMATS:
        raise UsageError(f"Unknown return format '{return_format}'. Must be one of: {list(RETURN_FORMATS)}")
