"""Where a server listens, and what becomes of those who come in from networks."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import logging
import threading
from collections.abc import Sequence
from typing import Any, Final

from instrumentserver.directory import Directory
from instrumentserver.errors import UsageError
from instrumentserver.transport.address import Address, Endpoint, endpoint_of, is_network_address
from instrumentserver.transport.afar import from_afar
from instrumentserver.transport.keys import ServerKeys
from instrumentserver.wire.shipping import refuse_code

from .allowed import AllowList
from .caller import Caller
from .handles import ServerHandles
from .listeners import Guest, Listener, LocalListener, NetworkListener, check_secure
from .nested import be_strict, check_public
from .own_addresses import OwnAddresses

__all__ = ["Doors"]

logger = logging.getLogger(__name__)

_KINDS: Final[dict[str, Any]] = {
    "log_levels": dict,
    "after": int | None,
    "given_up": list,
    "pid": int,
    "segments": bool,
    **dict.fromkeys(("session", "user", "host", "program"), str),
}
"""What a client may say of himself."""
_LONGEST: Final = 100


class Doors:
    """The listeners of one server.

    Args:
        name: The server's name.
        directory: Where the records of the other servers of this user are.
        local: Where it listens for processes of its own user.

    Attributes:
        addresses: Where it listens, the local address first.
        allowed: What clients on networks may have it import.
    """

    def __init__(self, name: str, directory: Directory, local: LocalListener) -> None:
        self._name = name
        self._directory = directory
        self._listeners: list[Listener] = [local]
        self._new: list[Listener] = [local]
        self._guard = threading.Lock()
        self.addresses = [local.address]
        self.allowed = AllowList()
        self._own = OwnAddresses(self.addresses)

    def open(self, addresses: Sequence[str], allow: Sequence[str], *, insecure: bool) -> None:
        """Listen at more addresses; one at which it listens already stays as it is.

        Raises:
            UsageError: One is no address of this computer, or plain TCP without ``insecure``.
            OSError: A port is taken.
        """
        wanted = [check_secure(address, insecure=insecure) for address in addresses]
        self.allowed.extend(allow)
        with self._guard:
            for address in wanted:
                if any(_satisfies(address, there) for there in self.addresses):
                    continue
                try:
                    listener = NetworkListener(address, ServerKeys(self._name))
                except OSError as error:
                    raise UsageError(
                        f"server {self._name!r} cannot listen at {address}: {error}; "
                        f"choose another port, or port 0 for any free one"
                    ) from error
                self._listeners.append(listener)
                self._new.append(listener)
                self.addresses.append(listener.address)
                logger.info("server %s listens at %s", self._name, listener.address)

    def take_new(self) -> list[Listener]:
        """Return the listeners that were opened since the latest call."""
        with self._guard:
            new, self._new = self._new, []
        return new

    def is_own(self, address: str) -> bool:
        """Return whether an address is one of this server, for processes of its own computer."""
        return address in self._own

    def close(self) -> None:
        """Take no more clients."""
        with self._guard:
            for listener in self._listeners:
                listener.sock.close()

    def meet(self, guest: Guest, caller: Caller, handles: ServerHandles) -> None:
        """Have a connection be what its client may use; called in the connection's thread, which stays so."""
        told = caller.introduction
        used = told.pop("address", "")
        if not guest.is_remote:
            handles.own = self._own
            return
        used = used if isinstance(used, str) and is_network_address(used) else guest.address
        caller.role, caller.is_remote, caller.allowed = guest.role, True, self.allowed
        # Where a server of another computer is used itself cannot be asked from here: it counts as a user.
        caller.server = ""
        _sanitize(told)
        # What it was told by others, a client may say; what its own secret is made into, only itself.
        digest = hashlib.sha256(f"{guest.role} {told.get('session')}".encode()).hexdigest()
        caller.session = told["session"] = f"{guest.role}-{digest[:32]}"
        caller.who = f"{caller.who} at {guest.host}, {guest.role}"
        told.update({"role": guest.role, "from": guest.host})
        handles.use_address(used)
        handles.own = self._own.used_as(used, is_near=_is_loopback(guest.host))
        handles.told_address = caller.told_address = functools.partial(self._told, endpoint_of(used))
        handles.may_bring_others = guest.role == "admin"
        handles.check_name = check_public
        be_strict()
        refuse_code()

    def _told(self, used: Endpoint, address: Address) -> str:
        """Return by which address a client on a network reaches what is on another server.

        Args:
            used: By which address he knows this one.
            address: By which address this one knows the other one.

        Raises:
            NotPortable: By none.
        """
        return from_afar(address, used.host, self._directory)


def _satisfies(wanted: str, there: str) -> bool:
    """Return whether who listens at an address listens at the wanted one, which may leave the port open."""
    if "://" not in there:
        return False
    one, other = endpoint_of(wanted), endpoint_of(there)
    return (one.scheme, one.host) == (other.scheme, other.host) and one.port in (0, other.port)


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _sanitize(told: dict[str, Any]) -> None:
    """Leave of what a client says of himself what others are shown."""
    for key in list(told):
        value = told[key]
        if key not in _KINDS:
            del told[key]
            continue
        if isinstance(value, str):
            told[key] = value[:_LONGEST]
        if not isinstance(value, _KINDS[key]):
            raise UsageError(f"{key}={value!r:.50} in the introduction of a client")
