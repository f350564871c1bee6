"""Handles that go out over one connection, counted so that both sides agree on who has what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from instrumentserver.server.handles import RemoteHandles
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.messages import HANDLE_CODE, OBJECT_CODE

from .served import Family, ServedObject
from .table import ObjectTable

if TYPE_CHECKING:
    from instrumentserver.server.caller import Caller

__all__ = ["References"]


_MOST_SENT: Final = 1000


class References:
    """Lets what an object's call returned stay here and travel as handles, in any position of a reply.

    Used by the thread of the connection, but for `give_up`.

    Args:
        table: The server's objects.
        caller: The client at the other end.
        codec: The connection's.
        remote: How the server deals with other servers.

    Attributes:
        form_function: Returns code and plain values of what is a function of a session's client, else None.
    """

    def __init__(self, table: ObjectTable, caller: Caller, codec: Codec, remote: RemoteHandles) -> None:
        self._table = table
        self._caller = caller
        self._codec = codec
        self._remote = remote
        self._family: Family | None = None
        self._made_of: tuple[Any, ...] = ()
        # The handles of the latest reply that had any.
        self._sent: list[tuple[ServedObject, int]] = []
        self._is_given_up = False
        codec.fallback = self._form
        self.form_function: Callable[[str, Any], tuple[int, Any] | None] = lambda session, value: None

    def begin(self, family: Family, made_of: tuple[Any, ...] = ()) -> None:
        """Let the reply to the present request hold references to objects of a family that are not served yet.

        Args:
            family: The family.
            made_of: What the call had from which the objects came: they may keep and use it.
        """
        self._family, self._made_of = family, made_of
        self._sent = []
        # Whatever a request has met is forgotten before the next one, and this with it.
        self._caller.met.append(family)

    def end(self) -> None:
        """Have the next reply hold no references to what is not served yet."""
        self._family, self._made_of = None, ()
        if self._is_given_up:
            self._table.drop_unheld([served for served, _ in self._sent])

    def encode(self, value: Any, family: Family | None) -> tuple[bytes, Sequence[memoryview]]:
        """Return the bytes of something that goes to the client, but not as a reply; the codec is not to be shared.

        Args:
            value: What goes.
            family: Of the objects that stay here for it; None if only those may go that are served already.
        """
        self._family, self._sent = family, []
        try:
            return self._codec.encode(value)
        except BaseException:
            self._undo(0)
            raise
        finally:
            self._family = None

    def take_back(self) -> None:
        """Count the handles of the present reply no more: it did not go out."""
        if self._family is not None:
            self._undo(0)

    def give_up(self, received: int) -> None:
        """Count no handle that the client has not received: it gave the connection up. For any thread.

        Args:
            received: The largest serial number that it received over this connection.
        """
        self._is_given_up = True
        self._undo(received)

    def count_again(self, known: Sequence[ServedObject | None]) -> list[int | None]:
        """Count objects that the client has from before; return a serial number for each, None for what is gone."""
        self._sent = []
        return [None if served is None else self._count(served) for served in known]

    def _undo(self, received: int) -> None:
        session, table = self._caller.session, self._table
        with table.guard:
            undone = [
                served
                for served, serial in self._sent
                if serial > received and table.count_off(served, session, (serial,))
            ]
        table.drop_unheld(undone)

    def _form(self, value: Any) -> tuple[int, Any] | None:
        """Return the handle of something that has no value form."""
        if type(value) is not ServedObject and self._table.of(value) is None:
            address = self._remote.address_of(value)
            if address is not None:
                self._remote.keep(value)
                return HANDLE_CODE, self._caller.told_address(address)
        while True:
            served = value if type(value) is ServedObject else self._table.of(value)
            if served is None:
                function = self.form_function(self._caller.session, value)
                if function is not None or self._family is None:
                    return function
                served = self._table.add(value, self._family, self._made_of)
            serial = self._count(served)
            if serial is not None:
                return OBJECT_CODE, [f"/{served.path}", served.class_number, serial]
            # It was dropped meanwhile by whoever had it before.
            if served is value:
                raise self._table.gone(served.path)

    def _count(self, served: ServedObject) -> int | None:
        """Count a handle; return its serial number, None if the object is not served any more."""
        table, caller = self._table, self._caller
        with table.guard:
            if served.is_closed:
                return None
            if self._is_given_up:
                self._sent.append((served, 0))
                return 0
            serial = table.hold(served, caller.session, caller.introduction)
            if self._family is None and len(self._sent) >= _MOST_SENT:
                # Instruments return objects that are served already: what was before has long been received.
                del self._sent[0]
            self._sent.append((served, serial))
        return serial
