"""Handles at a server: its own instruments arrive as themselves, everybody else's as proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qcodes.instrument import ChannelTuple, InstrumentBase
from qcodes.parameters import Function, ParameterBase

from instrumentserver.errors import NotPortable
from instrumentserver.transport.address import Address
from instrumentserver.wire.codec import Extension
from instrumentserver.wire.messages import HANDLE_CODE

from .hosted import Hosted
from .instruments import Instruments
from .nested import get_nested

__all__ = ["RemoteHandles", "ServerHandles"]


class RemoteHandles:
    """How a server deals with the instruments of other servers.

    Args:
        address_of: Returns the address of a proxy, None for any other object.
        find: Returns the proxy for an address.
        waits: Returns the calls that wait for instruments there; see `instrumentserver.server.cycles.Wait`.
        is_used: Tells whether one of the servers at some addresses is used, not counting others.
    """

    def __init__(
        self,
        address_of: Callable[[object], Address | None],
        find: Callable[[Address], object],
        waits: Callable[[], list[list[Any]]],
        is_used: Callable[[list[str], list[str]], bool],
    ) -> None:
        self.address_of = address_of
        self.find = find
        self.waits = waits
        self.is_used = is_used


class ServerHandles:
    """The handles of one connection.

    Attributes:
        met: Instruments of this server that handles brought since `forget` was called.
    """

    def __init__(self, server_address: str, instruments: Instruments, remote: RemoteHandles) -> None:
        self._server_address = server_address
        self._instruments = instruments
        self._remote = remote
        self.met: list[Hosted] = []

    def extension(self) -> Extension:
        """Return what lets handles travel."""
        return Extension(HANDLE_CODE, self._dump, self._load)

    def _dump(self, value: object) -> Any:
        if not isinstance(value, InstrumentBase | ParameterBase | ChannelTuple | Function):
            return None
        address = self.address_of(value)
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
            return str(address)
        path = self._instruments.path_of(part)
        return None if path is None else str(Address(self._server_address, path))

    def _load(self, plain: Any) -> object:
        if isinstance(plain, list):
            # An attribute that cannot travel, given back by the one who holds a stand-in for it.
            place, name = plain
            if Address.parse(place).server != self._server_address:
                raise NotPortable(f"{name} of {place} stays on its server; call a method there that uses it")
            return get_nested(self._load(place), name)
        address = Address.parse(plain)
        if address.server != self._server_address:
            return self._remote.find(address)
        target = self._instruments.target(address.path)
        self.met.append(target.hosted)
        return target.thing
