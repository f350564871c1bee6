"""The handle of a server: what `start_server` and `connect` return."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from instrumentserver.client import RemoteInstrument, forget_dead, time_limit
from instrumentserver.client.objects.proxy import RemoteObject
from instrumentserver.client.objects.registry import link_with
from instrumentserver.client.registry import find_proxy, new_codec, open_session, proxies, take_schema
from instrumentserver.directory import Directory, Record
from instrumentserver.errors import CallTimeout, ConnectFailed, ServerLost, UsageError
from instrumentserver.transport.address import Address
from instrumentserver.transport.exits import tail, wait_for_exit
from instrumentserver.transport.handshake import HANDSHAKE_SECONDS
from instrumentserver.wire.messages import Op
from instrumentserver.wire.serving import digest_of, dump_function, dump_thing
from instrumentserver.wire.shipping import dump_class, name_class, ship_code

from .named import Named

__all__ = ["Server"]

_STOP_SECONDS: Final = 30.0


class Server:
    """A running server, seen from a client.

    Args:
        record: Its record in the directory.

    Attributes:
        name: Its name.
        pid: Its process.
        address: Where it listens: by the address at which this process uses it.
        is_remote: Whether it is reached over a network.
    """

    def __init__(self, record: Record) -> None:
        self.name = record.name
        self.pid = record.pid
        self.address = record.address
        self._record = record
        self._log = Path(record.log)
        self._session = open_session(record.address)
        self.is_remote = self._session.is_remote

    @property
    def instruments(self) -> Mapping[str, RemoteInstrument]:
        """The instruments that it has now, by name."""
        return Named(
            "instruments",
            self.name,
            lambda: list(self._session.request([Op.INSTRUMENTS, ""])[1]),
            lambda name: find_proxy(Address(self.address, name)),
        )

    def create(self, cls: type | str, name: str, *args: Any, **kwargs: Any) -> RemoteInstrument:
        """Make an instrument on the server and return its proxy.

        Args:
            cls: Any QCoDeS driver class; also one that is defined in a notebook or in the script itself; or its
                import path, ``"package.module:Class"``, where this computer does not have it. On another computer
                it must be on the server's list (``allow``).
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
        self, cls: type | str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, if_exists: str
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
        return self._take([name, self._shipped(cls), ship_code(list(args)), ship_code(kwargs)], if_exists)

    def _shipped(self, cls: type | str) -> dict[str, Any]:
        """Return what the server gets a class by; over a network only its name, where it must be importable."""
        if isinstance(cls, str):
            return {"name": cls, "file": None, "sys_path": []}
        return name_class(cls) if self.is_remote else dump_class(cls)

    @property
    def objects(self) -> Mapping[str, RemoteObject]:
        """The objects that it serves now, by name."""
        return Named(
            "objects",
            self.name,
            lambda: list(self._session.request([Op.OBJECT_LIST, "", True])[1]),
            link_with(self._session).find,
        )

    def serve(
        self,
        what: Any,
        name: str,
        *,
        expose: Sequence[str] | None = None,
        lock: str = "one",
        access: str = "shared",
        arguments: Sequence[Any] | Mapping[str, Any] | None = None,
        before_call: Callable[..., object] | str | None = None,
        frees: Sequence[str] = ("free*",),
        reads: Sequence[str] = (),
    ) -> RemoteObject:
        """Serve a module, a class or an object by name, and return its proxy.

        Serving the same once more returns what is there.

        Args:
            what: An import path, such as ``"Swabian.TimeTagger"`` or ``"package.module:Name"``; a module; a class; or
                any object that can be pickled, of which the server gets a copy.
            name: The name: an identifier that no instrument and no other object of the server has.
            expose: Patterns of the names that clients may use, ``"get*"`` or ``"Counter.get*"``; None for all that
                are public.
            lock: "one" for one call at a time on the object and all that comes from it, "each" for one call at
                a time on each object, "none" for what is thread-safe.
            access: "shared"; "exclusive" for one client at a time, the first who uses it; "client" to make one
                for each client, which ends with him.
            arguments: What ``what``, a class or a function, is called with on the server, and its result is served: a
                list, or a dict for keywords. None serves ``what`` itself.
            before_call: Called on the server before each call with a `ClientIdentity` and an `ObjectCall`; what
                it raises refuses the call. Or its import path.
            frees: Patterns of the names of functions that end their first argument: who else has it is asked first.
            reads: Patterns of the calls that clients who may only read may make, ``"getData"``, ``"Counter.get*"``.

        Raises:
            UsageError: The name is taken by something else, or an option is none.
            NotPortable: Something cannot travel to the server.
            Exception: Whatever importing or making it raised; nothing is left behind.
        """
        if isinstance(arguments, Mapping):
            given: Any = [[], ship_code(dict(arguments))]
        else:
            given = None if arguments is None else [ship_code(list(arguments)), {}]
        options = {
            "expose": None if expose is None else list(expose),
            "lock": lock,
            "access": access,
            "arguments": given,
            "before_call": dump_function(before_call),
            "frees": list(frees),
            "reads": list(reads),
        }
        shipped = dump_thing(what)
        options["digest"] = digest_of(shipped, options, new_codec(self._session))
        proxy: RemoteObject = self._session.request([Op.SERVE, name, shipped, options])[1]
        return proxy

    def unserve(self, name: str) -> None:
        """End an object that is served by name, and all that came from it, whoever uses them.

        Raises:
            UnknownName: Nothing of that name is served.
        """
        self._session.request([Op.UNSERVE, name])

    def proxies(self) -> list[dict[str, Any]]:
        """Return which objects are on the server, and who has them.

        Returns:
            One dict for each: ``path``, ``class``, ``shown`` (how it reads), ``root`` (the name of what it came from),
            ``lock`` and ``access`` as served, and ``holders``: one dict for each client that has a proxy of it, with
            ``user``, ``host``, ``pid``, ``program``, ``session`` and ``count`` (how often it was handed to him).
        """
        return list(self._session.request([Op.OBJECT_LIST, ""])[1])

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

        Raises:
            NotAllowed: It is on another computer, and you are a viewer.
        """
        if self.is_remote:
            return str(self._session.request([Op.LOG, "", lines])[1])
        return tail(self._log, lines)

    @property
    def addresses(self) -> list[str]:
        """Where it listens now, the address for local clients first.

        Raises:
            ConnectFailed: It is not there any more.
        """
        return list(self.status()["addresses"])

    @property
    def role(self) -> str:
        """What this process may do there: "viewer", "operator" or "admin", which a local client is."""
        return str(self._session.welcome.get("role", "admin"))

    def listen(self, *addresses: str, allow: Sequence[str] = (), insecure: bool = False) -> list[str]:
        """Have the server listen for other computers, too, and return all its addresses; for local clients only.

        Args:
            addresses: ``tls://HOST:PORT``; host 0.0.0.0 for every interface, port 0 for any free one.
            allow: Import paths of what clients on other computers may create and serve, beside those that may be
                already.
            insecure: Whether an address may be of plain TCP.

        Raises:
            UsageError: An address cannot be, or its port is taken.
        """
        return list(self._session.request([Op.LISTEN, "", list(addresses), list(allow), insecure])[1])

    def ask_status(self, patience: float) -> dict[str, Any]:
        """Return the status without keeping the server alive.

        Args:
            patience: How long each step may take, seconds.

        Raises:
            ConnectFailed: It is not there.
            CallTimeout: It does not answer in time.
        """
        return dict(self._session.ask_in_passing([Op.STATUS, ""], patience))

    def check_tokens(self) -> int:
        """Cut the connections of clients whose token was made anew; return how many; for local clients only."""
        return int(self._session.request([Op.CHECK_TOKENS, ""])[1])

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
        """End the server's process at once, without closing anything.

        Raises:
            UsageError: It is on another computer.
        """
        if self.is_remote:
            raise UsageError(
                f"server {self.name!r} runs on another computer, where it can be killed; from here, stop() it"
            )
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
        return Server, (self._record,)

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
        is_gone = self._session.wait_until_gone(max(0.0, give_up - time.monotonic()))
        if self.is_remote:
            if not is_gone:
                raise ServerLost(f"server {self.name!r} at {self.address} has not ended in time")
            return
        if not wait_for_exit(self.pid, max(0.0, give_up - time.monotonic())):
            raise ServerLost(f"server {self.name!r} (pid {self.pid}) has not ended in time; kill() it")
        Directory.default().find(self.name)
