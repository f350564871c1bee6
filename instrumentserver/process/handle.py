"""The handle of a server: what `start_server` and `connect` return."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from instrumentserver.client import RemoteInstrument, forget_dead, time_limit
from instrumentserver.client.registry import find_proxy, open_session, proxies, take_schema
from instrumentserver.directory import Directory, Record
from instrumentserver.errors import CallTimeout, ConnectFailed, ServerLost, UsageError
from instrumentserver.transport.address import Address
from instrumentserver.transport.exits import wait_for_exit
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS
from instrumentserver.wire.messages import Op
from instrumentserver.wire.shipping import dump_class, ship_code

__all__ = ["Server"]

_STOP_SECONDS: Final = 30.0


class Server:
    """A running server, seen from a client.

    Args:
        record: Its record in the directory.

    Attributes:
        name: Its name.
        pid: Its process.
        address: Where it listens.
    """

    def __init__(self, record: Record) -> None:
        self.name = record.name
        self.pid = record.pid
        self.address = record.address
        self._log = Path(record.log)
        self._session = open_session(record.address)

    @property
    def instruments(self) -> Mapping[str, RemoteInstrument]:
        """The instruments that it has now, by name."""
        return _InstrumentsOf(self)

    def create(self, cls: type, name: str, *args: Any, **kwargs: Any) -> RemoteInstrument:
        """Make an instrument on the server and return its proxy.

        Args:
            cls: Any QCoDeS driver class; also one that is defined in a notebook or in the script itself.
            name: Name of the instrument, an identifier that no other instrument here has.
            args: What the constructor gets after the name.
            kwargs: What the constructor gets by keyword.

        Raises:
            KeyError: There is an instrument of that name, here or on the server.
            NotPortable: The class or an argument cannot travel.
            Exception: Whatever the constructor raised; nothing is left behind.
        """
        return self.make(cls, name, args, kwargs, if_exists="error")[0]

    def make(
        self, cls: type, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, if_exists: str
    ) -> tuple[RemoteInstrument, bool]:
        """Make an instrument, or find it; return its proxy, and whether it is new.

        Args:
            cls: The driver class.
            name: Name of the instrument.
            args: What the constructor gets after the name.
            kwargs: What the constructor gets by keyword.
            if_exists: "error", "find" or "recreate".

        Raises:
            TypeError: There is one of that name, of another class.
            Exception: As for `create`.
        """
        if not isinstance(name, str):
            raise UsageError(f"{name!r} cannot name an instrument; its name must be a string such as 'dac'")
        self._check_name(name)
        return self._take([name, dump_class(cls), ship_code(list(args)), ship_code(kwargs)], if_exists)

    def recipes(self) -> list[list[Any]]:
        """Return what `make_again` needs to make every instrument again, in the order in which they were made.

        Of a server that is gone, or does not answer in the time of `time_limit`, those that this process made.

        Raises:
            NotPortable: What one was made of cannot travel.
        """
        try:
            return list(self._session.request([Op.RECIPES, ""])[1])
        except (ConnectFailed, ServerLost, CallTimeout):
            mine = [proxy for proxy in proxies() if proxy._link.session is self._session]
            return [vars(proxy)["_recipe"] for proxy in mine if "_recipe" in vars(proxy)]

    def make_again(self, recipe: list[Any]) -> RemoteInstrument:
        """Make an instrument again, on a server that was started anew; one that is there is left as it is.

        Raises:
            Exception: As for `create`.
        """
        return self._take(recipe, "find")[0]

    def _take(self, recipe: list[Any], if_exists: str) -> tuple[RemoteInstrument, bool]:
        schema, is_new = self._session.request([Op.CREATE, *recipe, if_exists])[1]
        proxy = take_schema(self._session, schema)
        if is_new:
            vars(proxy)["_recipe"] = recipe
        return proxy, is_new

    def status(self) -> dict[str, Any]:
        """Return what the server is and does.

        Returns:
            A dict with ``name``, ``address``, ``pid``, ``started``, ``linger`` (seconds, None for ever),
            ``instruments`` (class by name), ``shared_kwargs``, ``clients`` (one dict each), ``calls`` (one
            dict for each call that is under way: ``operation``, ``path``, ``client``, ``seconds`` so far,
            ``state`` "running" or "waiting"), ``python`` and ``qcodes`` (versions).
        """
        return dict(self._session.request([Op.STATUS, ""])[1])

    def log(self, lines: int = 50) -> str:
        """Return the end of the server's log file.

        Args:
            lines: How many lines at most.
        """
        text = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""

    def stop(self, timeout: float = _STOP_SECONDS) -> None:
        """Close every instrument and end the server, waiting until it is gone; nothing happens if it is.

        Calls that are under way may take up to 10 s to end.

        Args:
            timeout: How long to wait, seconds.

        Raises:
            ServerLost: It has not ended within that time.
        """
        give_up = time.monotonic() + timeout
        try:
            with time_limit(timeout):
                self._session.greet(min(timeout, HANDSHAKE_SECONDS))
                self._session.request([Op.STOP, ""])
        except (ConnectFailed, ServerLost, CallTimeout):
            pass
        self._wait_until_gone(give_up)

    def kill(self) -> None:
        """End the server's process at once, without closing anything."""
        try:
            os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        except ProcessLookupError:
            return
        self._wait_until_gone(time.monotonic() + _STOP_SECONDS)

    def stop_if_unused(self) -> None:
        """End the server if it has no instrument and no client but this process."""
        try:
            self._session.request([Op.STOP_IF_UNUSED, ""])
        except (ConnectFailed, ServerLost):
            pass

    def extend(self, linger: float | None, shared_kwargs: Mapping[str, Any]) -> None:
        """Have the server live at least ``linger`` seconds without clients, and share what it does not share yet.

        Raises:
            UsageError: It shares something of that name that has another value.
        """
        self._session.request([Op.LINGER, "", linger])
        if shared_kwargs:
            self._session.request([Op.SHARE, "", dict(shared_kwargs)])

    def __repr__(self) -> str:
        return f"<Server: {self.name} at {self.address}, pid {self.pid}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Server, (Record(self.name, self.address, self.pid, "", str(self._log)),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Server) and (self.address, self.pid) == (other.address, other.pid)

    def __hash__(self) -> int:
        return hash((self.address, self.pid))

    def _check_name(self, name: str) -> None:
        """Make sure that no other instrument of this process has the name, before anything is made."""
        name = name.replace("-", "_")
        names = self._session.request([Op.INSTRUMENTS, ""])[1]
        if name in names:
            return
        forget_dead(name, self._session)

    def _wait_until_gone(self, give_up: float) -> None:
        self._session.wait_until_gone(max(0.0, give_up - time.monotonic()))
        if not wait_for_exit(self.pid, max(0.0, give_up - time.monotonic())):
            raise ServerLost(f"server {self.name!r} (pid {self.pid}) has not ended in time; kill() it")
        Directory.default().find(self.name)


class _InstrumentsOf(Mapping[str, RemoteInstrument]):
    """The instruments of a server, asked for anew at every use."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __getitem__(self, name: str) -> RemoteInstrument:
        if name not in self._names():
            raise KeyError(name)
        proxy: RemoteInstrument = find_proxy(Address(self._server.address, name))
        return proxy

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"<instruments of {self._server.name}: {', '.join(self._names()) or 'none'}>"

    def _names(self) -> list[str]:
        return list(self._server._session.request([Op.INSTRUMENTS, ""])[1])
