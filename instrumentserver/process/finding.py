"""Starting, finding and stopping servers, and finding instruments on them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from qcodes.instrument import Instrument, IPInstrument, VisaInstrument
from qcodes.instrument import find_or_create_instrument as find_or_create_here

from instrumentserver.client.attribute import NestedAttributes
from instrumentserver.client.registry import open_session
from instrumentserver.directory import Directory, Record
from instrumentserver.errors import ConnectFailed, UnknownName, UsageError
from instrumentserver.server import ServerOptions
from instrumentserver.server.nested import get_nested
from instrumentserver.transport.address import check_server_name, is_server_address, loopback_endpoint
from instrumentserver.transport.sockets import HAS_UNIX_SOCKETS

from .handle import Server
from .launch import ServerStartFailed, launch

__all__ = [
    "connect",
    "create_instrument",
    "default_server_name",
    "find_component",
    "find_instrument",
    "find_or_create_instrument",
    "list_servers",
    "make_instrument",
    "start_server",
    "stop_server",
    "usual_server_name",
]

T = TypeVar("T", bound=Instrument)

_START_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.02
_MOST_LAUNCHES: Final = 5


def start_server(
    name: str,
    *,
    linger: float | None = 60.0,
    shared_kwargs: Mapping[str, Any] | None = None,
    listen: str | None = None,
) -> Server:
    """Return the server of that name, started if it does not run.

    Args:
        name: 1 to 64 letters, digits, ``_``, ``-`` and ``.``.
        linger: How long it lives without clients, seconds; None until it is stopped. A server that
            runs already keeps the longer one of its own and this.
        shared_kwargs: Keyword arguments that it holds for all instruments whose class names them.
        listen: Where it listens: ``tcp://127.0.0.1:PORT``, port 0 for any free one. By default it listens on
            a Unix socket where the system has them, else on TCP on the loopback interface. No effect on
            a server that runs already.

    Raises:
        UsageError: The name or the address cannot be, or the server shares something else of that name.
        ServerStartFailed: The process ended before it was ready.
    """
    return started_server(name, linger=linger, shared_kwargs=shared_kwargs, listen=listen)[0]


def started_server(
    name: str,
    *,
    linger: float | None = 60.0,
    shared_kwargs: Mapping[str, Any] | None = None,
    listen: str | None = None,
    extend: bool = True,
) -> tuple[Server, bool]:
    """Return the server of that name, and whether this call started it; see `start_server`.

    Args:
        extend: Whether ``linger`` and ``shared_kwargs`` concern a server that runs already, too.
    """
    check_server_name(name)
    if linger is not None and not linger >= 0:
        raise UsageError(f"linger={linger!r} is no time; give seconds, 0 or more, or None for ever")
    if listen is not None:
        loopback_endpoint(listen)
    address = listen or (f"unix:{name}" if HAS_UNIX_SOCKETS else "tcp://127.0.0.1:0")
    give_up = time.monotonic() + _START_SECONDS
    launches = 0
    is_new = False
    while True:
        record = Directory.default().find(name)
        if record is not None:
            try:
                server = _reach(record)
                if extend or is_new:
                    server.extend(linger, shared_kwargs or {})
            except ConnectFailed:
                # It is on its way out, or not yet ready: wait for the one or the other.
                if time.monotonic() > give_up:
                    raise
            else:
                return server, is_new
        elif launches < _MOST_LAUNCHES and time.monotonic() < give_up:
            is_new = launch(ServerOptions(name, address, linger))
            launches += is_new
        else:
            raise ServerStartFailed(
                f"server {name!r} was started {launches} times, but could not be found then; "
                f"see its log {Directory.default().log_path(name)}"
            )
        if not is_new:
            time.sleep(_RETRY_SECONDS)


def connect(name_or_address: str) -> Server:
    """Return the running server of a name or address.

    Args:
        name_or_address: ``foo``, ``unix:foo`` or ``tcp://127.0.0.1:5900``.

    Raises:
        UnknownName: No server of that name or address runs.
        ConnectFailed: It does not take connections.
    """
    directory = Directory.default()
    wanted = name_or_address.removeprefix("unix:")
    if not is_server_address(wanted):
        record = directory.find(check_server_name(wanted))
    else:
        record = next((record for record in directory.records() if record.address == wanted), None)
    if record is None:
        running = ", ".join(record.name for record in directory.records()) or "none"
        raise UnknownName(
            f"no server {name_or_address!r} runs (running: {running}); start it with start_server({wanted!r})"
        )
    return _reach(record)


def stop_server(name: str) -> None:
    """Close every instrument of a server and end it, waiting until it is gone; nothing happens if it does not run."""
    record = Directory.default().find(check_server_name(name))
    if record is not None:
        Server(record).stop()


def list_servers() -> list[Server]:
    """Return the running servers of this user on this computer, by name."""
    return [Server(record) for record in Directory.default().records()]


def find_instrument(name: str) -> Any:
    """Return the instrument of that name: one of this process, or one of any running server.

    Raises:
        UnknownName: There is none; the message says which servers were asked.
        UsageError: Several servers have one of that name; the message says how to choose.
    """
    here = Instrument._all_instruments.get(name)
    if here is not None:
        return here
    servers = [server for server in list_servers() if name in _names_on(server)]
    if len(servers) == 1:
        return servers[0].instruments[name]
    if servers:
        where = " and ".join(str(server.address) for server in servers)
        raise UsageError(
            f"instrument {name!r} is on {where}; choose one, such as connect({servers[0].name!r}).instruments[{name!r}]"
        )
    asked = ", ".join(server.name for server in list_servers()) or "no server runs"
    raise UnknownName(f"no instrument {name!r} in this process or on any server (asked: {asked})")


def find_component(name_attribute: str, instrument_class: type | None = None) -> Any:
    """Return a part of an instrument of this process or of any running server, found by name.

    Args:
        name_attribute: The instrument's name, a dot and a nested attribute, such as ``dmm.signal.unit``; or
            the name alone.
        instrument_class: What the instrument must be an instance of.

    Raises:
        UnknownName: There is no such instrument.
        TypeError: The instrument is of another class.
        AttributeError: It has no such attribute.
    """
    name, _, attribute = name_attribute.partition(".")
    instrument = find_instrument(name)
    if instrument_class is not None and not isinstance(instrument, instrument_class):
        raise TypeError(f"Instrument {name} is {instrument.__class__} but {instrument_class} was requested")
    if not attribute:
        return instrument
    if isinstance(instrument, NestedAttributes):
        return instrument.getattr(attribute)
    return get_nested(instrument, attribute)


def find_or_create_instrument(
    cls: type[T],
    name: str,
    *args: Any,
    server_name: str | None = None,
    recreate: bool = False,
    **kwargs: Any,
) -> T:
    """Return the instrument of that name on a server, made if it is not there.

    Takes any QCoDeS driver, which need not know of servers. Two processes that ask at the same time get
    the same instrument. An instrument that is found prints its connection message, as in QCoDeS.

    Args:
        cls: The driver class.
        name: Name of the instrument.
        args: What the constructor gets after the name.
        server_name: The server, started if it does not run; "" for the class's default; None for an instrument
            of this process, as in QCoDeS.
        recreate: Whether an instrument that is found is closed and made again with these arguments.
        kwargs: What the constructor gets by keyword.

    Raises:
        TypeError: There is one of that name, of another class.
        Exception: Whatever the constructor raised.
    """
    if server_name is None:
        return find_or_create_here(cls, name, *args, recreate=recreate, **kwargs)
    proxy: T
    proxy, is_new = make_instrument(
        cls, name, args, kwargs, server_name, if_exists="recreate" if recreate else "find"
    )
    if not is_new:
        proxy.connect_message()
    return proxy


def create_instrument(
    cls: type, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], server_name: str
) -> Any:
    """Return the proxy of a new instrument on a server, started if it does not run; "" is the class's default."""
    return make_instrument(cls, name, args, kwargs, server_name, if_exists="error")[0]


def make_instrument(
    cls: type,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    server_name: str,
    *,
    if_exists: str,
) -> tuple[Any, bool]:
    """Make an instrument on a server, or find it; return its proxy, and whether it is new.

    Args:
        cls: The driver class.
        name: Name of the instrument.
        args: What the constructor gets after the name.
        kwargs: What the constructor gets by keyword.
        server_name: The server, started if it does not run; "" for the class's default.
        if_exists: What to do if there is one of that name: "error", "find" or "recreate".

    Raises:
        TypeError: There is one of that name, of another class.
        Exception: Whatever the constructor raised.
    """
    server, is_new = started_server(server_name or default_server_name(cls, kwargs, args), extend=False)
    try:
        return server.make(cls, name, args, kwargs, if_exists=if_exists)
    except BaseException:
        if is_new:
            server.stop_if_unused()
        raise


def default_server_name(cls: type, kwargs: Mapping[str, Any], args: tuple[Any, ...] = ()) -> str:
    """Return the server on which instruments of a class live unless the user says otherwise.

    A class says so itself with a class method ``default_server_name(**kwargs)``; see `usual_server_name` for others.
    """
    own = getattr(cls, "default_server_name", None)
    if own is None:
        return usual_server_name(cls, kwargs, args)
    if issubclass(cls, VisaInstrument) and args:
        kwargs = {"address": args[0], **kwargs}
    return str(own(**kwargs))


def usual_server_name(cls: type, kwargs: Mapping[str, Any], args: tuple[Any, ...] = ()) -> str:
    """Return the server on which instruments of a class live if neither it nor the user says anything.

    The names are those of the QCoDeS of 2016: VISA instruments by their bus, TCP/IP instruments together, all
    others together.
    """
    if issubclass(cls, VisaInstrument):
        address = str(kwargs.get("address", args[0] if args else "")).upper()
        return {"GPIB": "GPIBServer", "ASRL": "SerialServer"}.get(address[:4], "VisaServer")
    return "IPInstruments" if issubclass(cls, IPInstrument) else "Instruments"


def _reach(record: Record) -> Server:
    open_session(record.address).greet()
    return Server(record)


def _names_on(server: Server) -> list[str]:
    try:
        return list(server.instruments)
    except ConnectFailed:
        return []
