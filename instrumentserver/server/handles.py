"""Handles at a server: its own instruments arrive as themselves, everybody else's as proxies."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from qcodes.instrument import ChannelTuple, InstrumentBase
from qcodes.parameters import Function, ParameterBase

from instrumentserver.errors import NotAllowed, NotPortable
from instrumentserver.transport.address import Address
from instrumentserver.wire.codec import Extension
from instrumentserver.wire.messages import HANDLE_CODE

from .instruments import Instruments
from .locks import Locked
from .nested import get_nested

__all__ = ["RemoteHandles", "ServerHandles"]


class RemoteHandles:
    """How a server deals with the instruments of other servers.

    Args:
        address_of: Returns the address of a proxy, None for any other object.
        find: Returns the proxy for an address.
        waits: Returns the calls that wait for instruments there; see `instrumentserver.server.cycles.Wait`.
        is_used: Tells whether one of the servers at some addresses is used, not counting others.
        keep: Keeps a proxy of an object until whoever is sent it has had the time to hold the object.
    """

    def __init__(
        self,
        address_of: Callable[[object], Address | None],
        find: Callable[[Address], object],
        waits: Callable[[], list[list[Any]]],
        is_used: Callable[[list[str], list[str]], bool],
        keep: Callable[[object], None] = lambda thing: None,
    ) -> None:
        self.address_of = address_of
        self.find = find
        self.waits = waits
        self.is_used = is_used
        self.keep = keep


class ServerHandles:
    """The handles of one connection.

    Args:
        server_address: The server's address.
        instruments: Its instruments.
        remote: How it deals with other servers.
        find_object: Returns a served object by its path, and whoever's lock is held during calls on it, None where
            nobody's is.

    Attributes:
        load_function: Returns what stands for a function of the client, by its plain values.
        own: The addresses by which the client may know this server.
        told_address: Returns by which address the client is told of something on another server; raises
            `NotPortable` if none leads there from his computer.
        may_bring_others: Whether the client may have this server act on other servers.
        check_name: Makes sure that the client may name an attribute.
        met: Instruments of this server that handles brought since the latest request, and objects that have a lock.
    """

    def __init__(
        self,
        server_address: str,
        instruments: Instruments,
        remote: RemoteHandles,
        find_object: Callable[[str], tuple[object, Locked | None]] | None = None,
    ) -> None:
        self._server_address = server_address
        self._instruments = instruments
        self._remote = remote
        self.find_object = find_object
        self.own: Container[str] = {server_address}
        self.told_address: Callable[[Address], str] = str
        self.may_bring_others = True
        self.check_name: Callable[[str], None] = lambda name: None
        self.load_function: Callable[[Any], object] = _refuse_function
        self.met: list[Locked] = []

    def use_address(self, server_address: str) -> None:
        """Tell the client of this server's parts by the address at which he knows it."""
        self._server_address = server_address

    def extension(self) -> Extension:
        """Return what lets handles travel."""
        return Extension(HANDLE_CODE, self._dump, self._load)

    def _dump(self, value: object) -> Any:
        if not isinstance(value, InstrumentBase | ParameterBase | ChannelTuple | Function):
            return None
        elsewhere = self._remote.address_of(value)
        address = self.address_of(value) if elsewhere is None else self.told_address(elsewhere)
        if address is None:
            raise NotPortable(
                f"{value!r} is not a part of an instrument of this server, so no proxy can stand for it; "
                f"return its value or its snapshot instead"
            )
        return address

    def address_of(self, part: object) -> str | None:
        """Return the address of a part of an instrument, here or on another server, None for anything else."""
        address = self._remote.address_of(part)
        if address is not None:
            try:
                return self.told_address(address)
            except NotPortable:
                return None
        path = self._instruments.path_of(part)
        return None if path is None else str(Address(self._server_address, path))

    def _load(self, plain: Any) -> object:
        if isinstance(plain, list):
            # An attribute that cannot travel, given back by the one who holds a stand-in for it.
            place, name = plain
            if Address.parse(place).server not in self.own:
                raise NotPortable(f"{name} of {place} stays on its server; call a method there that uses it")
            self.check_name(name)
            return get_nested(self._load(place), name)
        address = Address.parse(plain)
        if address.server not in self.own:
            if not self.may_bring_others:
                raise NotAllowed(
                    f"{address} is on another server, on which this one may not act for you; "
                    f"only an administrator may have it do so"
                )
            return self._remote.find(address)
        if self.find_object is not None and self._is_object(address.path):
            thing, owner = self.find_object(address.path)
            if owner is not None:
                self.met.append(owner)
            return thing
        target = self._instruments.target(address.path)
        self.met.append(target.hosted)
        return target.thing

    def _is_object(self, path: str) -> bool:
        """Return whether a path is that of a served object rather than of a part of an instrument."""
        if path[:1] == "@":
            # Those that begin with a digit are what a method of an instrument returned.
            return not path[1:2].isdigit()
        return self._instruments.get(path.partition(".")[0]) is None


def _refuse_function(plain: Any) -> object:
    raise NotPortable("a function can be given to what a client calls, and to nothing else")
