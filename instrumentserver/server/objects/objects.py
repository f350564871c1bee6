"""All that a server does with served objects, put together."""

from __future__ import annotations

import functools
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from instrumentserver.server.caller import Caller
from instrumentserver.server.events import ClientEvents
from instrumentserver.server.handles import RemoteHandles, ServerHandles
from instrumentserver.server.instruments import Instruments
from instrumentserver.server.locks import Locked
from instrumentserver.transport.address import Address
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.messages import HANDLE_CODE

from .client_functions import ClientFunctions
from .functions_way import FunctionsWay
from .operations import ObjectOperations
from .references import References
from .roots import Roots
from .served import FreeLock
from .table import ObjectTable

__all__ = ["Objects"]

_MOST_ENDED: Final = 64
"""So many connections that have ended are remembered, for clients that gave one up."""


class Objects:
    """The served objects of one server, and the connections over which clients use them.

    Args:
        server_name: The server's name, for messages.
        instruments: Its instruments, which share names and locks with the objects.
        remote: How it deals with other servers.
        is_portable: Tells whether a value can travel.

    Attributes:
        table: The objects.
        roots: What is served by name.
        operations: What clients may ask for.
        functions: The functions of clients that the objects have.
    """

    def __init__(
        self,
        server_name: str,
        instruments: Instruments,
        remote: RemoteHandles,
        is_portable: Callable[[Any], bool],
    ) -> None:
        self._remote = remote
        self.table = ObjectTable(server_name, instruments.server_id, is_portable)
        self.roots = Roots(self.table, instruments)
        self.operations = ObjectOperations(self.table, self.roots)
        self.functions = ClientFunctions()
        self._ended: deque[tuple[str, int, References]] = deque(maxlen=_MOST_ENDED)

    def meet(self, caller: Caller, handles: ServerHandles, codec: Codec) -> None:
        """Have objects travel over a connection whose client has introduced himself."""
        caller.references = self._references(caller, codec)

        def find(path: str) -> tuple[object, Locked | None]:
            served = self.operations.find(caller, path)
            owner = served.turn
            return served.thing, None if isinstance(owner.lock, FreeLock) else owner

        handles.find_object = find

        def load_function(plain: Any) -> object:
            function = self.functions.load(caller.session, plain)
            # Not kept: a function that the call does not keep is to be forgotten.
            caller.functions = [known for known in caller.functions if known() is not None]
            caller.functions.append(weakref.ref(function))
            return function

        handles.load_function = load_function

    def open_events(self, caller: Caller, codec: Codec, events: ClientEvents) -> None:
        """Have the functions of a client be called over his event connection.

        Args:
            caller: The client.
            codec: One of its own, with the handles of the connection.
            events: The connection.
        """
        way = FunctionsWay(caller, codec, self._references(caller, codec), events)
        events.answered = functools.partial(self.functions.answered, way)
        events.on_end = functools.partial(self.functions.close, caller.session, way)
        self.functions.open(caller.session, way)

    def _references(self, caller: Caller, codec: Codec) -> References:
        references = References(self.table, caller, codec, self._remote)
        references.form_function = self.functions.dump
        return references

    def keeping_codec(self, handles: ServerHandles, codec: Codec, address: str) -> Codec:
        """Return a codec for values that stay on the server, which takes objects as their addresses.

        Args:
            handles: Its handles, no connection's.
            codec: The codec.
            address: The server's.
        """

        def form(value: Any) -> tuple[int, Any] | None:
            served = self.table.of(value)
            place = self._remote.address_of(value) if served is None else Address(address, served.path)
            return None if place is None else (HANDLE_CODE, str(place))

        handles.find_object = self._found
        codec.fallback = form
        return codec

    def _found(self, path: str) -> tuple[object, Locked | None]:
        served = self.table.entries.get(path)
        if served is None:
            raise self.table.gone(path)
        return served.thing, None

    def close(self) -> None:
        """Cancel the async methods that run, and end every object."""
        self.operations.close()
        self.roots.close_all()

    def connection_ended(self, caller: Caller, number: int) -> None:
        """Count that a connection has ended; its client may say later that he gave it up."""
        caller.references.end()
        self._ended.append((caller.session, number, caller.references))

    def give_up(self, caller: Caller, number: int, received: int) -> None:
        """Count no handle that a client has not received over a connection that has ended, and that he gave up."""
        for session, ended, references in list(self._ended):
            if (session, ended) == (caller.session, number):
                references.give_up(received)

    def session_ended(self, session: str) -> None:
        """Count that a client has gone."""
        # First, for what follows may wait for calls that are under way.
        self.roots.drop_session(session)
        self.table.drop_session(session)
        self.functions.drop_session(session)
        for each in [each for each in list(self._ended) if each[0] == session]:
            with suppress(ValueError):
                self._ended.remove(each)
