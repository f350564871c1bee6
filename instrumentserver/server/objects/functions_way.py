"""The way to a client's functions: his event connection, with a codec for what they are called with."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from instrumentserver.server.caller import Caller
from instrumentserver.server.events import ClientEvents
from instrumentserver.wire.codec import Codec

from .references import References
from .served import Family

__all__ = ["FunctionsWay"]


class FunctionsWay:
    """Carries calls of a client's functions; for any thread.

    Args:
        caller: The client.
        codec: One of its own, with the handles of the connection.
        references: What lets objects travel with that codec.
        events: The connection.

    Attributes:
        who: The client, for people.
        tell: Sends an entry over the connection soon; never blocks.
        tell_at_once: Sends an entry in this thread.
    """

    def __init__(self, caller: Caller, codec: Codec, references: References, events: ClientEvents) -> None:
        self._caller = caller
        self._codec = codec
        self._references = references
        self._guard = threading.Lock()
        self.tell = events.tell
        self.tell_at_once = events.tell_at_once
        self.who = caller.who

    def encode(self, value: Any, family: Family | None) -> tuple[bytes, Sequence[memoryview]]:
        """Return the bytes of a value for the client; what cannot travel stays here, in the family."""
        with self._guard:
            return self._references.encode(value, family)

    def decode(self, message: bytes, buffers: Sequence[memoryview]) -> Any:
        """Return the value that the client encoded."""
        with self._guard:
            try:
                return self._codec.decode(message, buffers)
            finally:
                # Whose locks an answer concerns is for the call that waits for it, which has them or not.
                self._caller.met.clear()
                self._caller.functions.clear()
