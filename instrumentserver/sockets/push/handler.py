"""What a push socket does with what it gets, and what it answers."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable
from functools import partial
from typing import Any

from instrumentserver.errors import UsageError

from ..constants import PUSH_RET
from ..status import encode_status
from .codec import (
    COMMANDS,
    copied,
    decode_push,
    encode_ack,
    encode_error,
    encode_exception,
    encode_return,
)
from .received import Received

__all__ = ["Answer", "PushUDPHandler"]

logger = logging.getLogger(__name__)

Answer = Callable[[dict[str, Any]], str]
"""Takes a push, which is its own from then on, and returns the reply; may raise `Refused`."""


class PushUDPHandler:
    """Stores pushes, and hands them on to a queue or a callback.

    Args:
        name: The socket's name.
        received: Where pushes are stored.
        items: Queue that gets a copy of each push; None: there is none.
        callback: Function that is called with a copy of each push and whose result is the reply; None: there is none.
        return_format: How that result is sent.
    """

    def __init__(
        self,
        name: str,
        received: Received,
        items: queue.Queue[Any] | None,
        callback: Callable[[dict[str, Any]], Any] | None,
        return_format: str,
    ) -> None:
        self._received = received
        self._items = items
        self._return_format = return_format
        self._answer: Answer | None = None if callback is None else partial(self._call, callback)
        self._replies: dict[str, Callable[[], str]] = {
            "name": lambda: f"{PUSH_RET}#{name}",
            "commands": lambda: f"{PUSH_RET}#{json.dumps(COMMANDS)}",
            "status": encode_status,
        }

    def reply(self, request: bytes) -> bytes:
        """Return the reply to a request.

        Raises:
            Refused: The request is wrong, or the queue is full; nothing was stored.
            UnicodeError: The request or the reply is not ASCII; there is no reply then.
        """
        text = request.decode("ascii")
        encode = self._replies.get(text)
        return (self._push(decode_push(text)) if encode is None else encode()).encode("ascii")

    def attach(self, answer: Answer) -> None:
        """Have a function answer pushes, after they are stored, until `detach`.

        Raises:
            UsageError: Pushes are answered by another one already.
        """
        if self._answer is not None:
            raise UsageError("something answers the pushes to this socket already; stop that first")
        self._answer = answer

    def detach(self, answer: Answer) -> None:
        """Have a function not answer any more; a reply that is being made is sent all the same."""
        if self._answer == answer:
            self._answer = None

    def _push(self, data: dict[str, Any]) -> str:
        """Store a push, hand it on, and return the reply."""
        stored = copied(data)
        answer = self._answer
        if answer is not None:
            self._received.store(stored)
            return answer(data)
        acknowledgement = encode_ack(data)
        with self._received.lock:
            if self._items is not None:
                try:
                    self._items.put_nowait(data)
                except queue.Full:
                    raise encode_error(
                        "The queue is full; nothing was stored, send the data again later"
                    ) from None
            self._received.store(stored)
        return acknowledgement

    def _call(self, callback: Callable[[dict[str, Any]], Any], data: dict[str, Any]) -> str:
        """Return the reply of a callback."""
        try:
            value = callback(data)
        except BaseException as error:
            # Not even sys.exit() in a callback may end the service of all others.
            logger.error("the callback failed", exc_info=error)
            return encode_exception(error)
        return encode_return(value, self._return_format)
