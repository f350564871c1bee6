"""Starting, finding and stopping servers, and finding instruments on them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from qcodes.instrument import Instrument, IPInstrument, VisaInstrument
from qcodes.instrument import find_or_create_instrument as find_or_create_here

from instrumentserver.client.attribute import NestedAttributes
from instrumentserver.client.registry import find_proxy_at, open_session
from instrumentserver.directory import Directory, Record
from instrumentserver.errors import ConnectFailed, UnknownName, UsageError
from instrumentserver.server import ServerOptions
from instrumentserver.server.allowed import AllowList
from instrumentserver.server.nested import get_nested
from instrumentserver.transport.address import (
    Address,
    check_server_name,
    is_network_address,
    is_server_address,
)
from instrumentserver.transport.sockets import HAS_UNIX_SOCKETS

from .afar import connected_afar, divided, reach_afar
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
    listen: str | Sequence[str] | None = None,
    allow: Sequence[str] = (),
    insecure: bool = False,
) -> Server:
    """Return the server of that name, started if it does not run.

    Args:
        name: 1 to 64 letters, digits, ``_``, ``-`` and ``.``.
        linger: How long it lives without clients, seconds; None until it is stopped. A server that
            runs already keeps the longer one of its own and this.
        shared_kwargs: Keyword arguments that it holds for all instruments whose class names them.
        listen: Where it listens for other computers, too: ``tls://0.0.0.0:5900``, or several addresses; port 0 for
            any free one. A server that runs already listens there from now on. Beside that it listens on a Unix
            socket where the system has them, else on TCP on the loopback interface; ``tcp://127.0.0.1:PORT`` takes
            the place of that, and has no effect on a server that runs already.
        allow: Import paths of what clients on other computers may create and serve, such as ``'instruments:Dac'`` or
            ``'qcodes_contrib_drivers.*'``; beside those that a server that runs already has.
        insecure: Whether it may listen for other computers on plain TCP, where everybody on the way can read and
            change what travels.

    Raises:
        UsageError: The name or an address cannot be, a port is taken, or the server shares something else of that
            name.
        ServerStartFailed: The process ended before it was ready.
    """
    return started_server(
        name, linger=linger, shared_kwargs=shared_kwargs, listen=listen, allow=allow, insecure=insecure
    )[0]


def started_server(
    name: str,
    *,
    linger: float | None = 60.0,
    shared_kwargs: Mapping[str, Any] | None = None,
    listen: str | Sequence[str] | None = None,
    allow: Sequence[str] = (),
    insecure: bool = False,
    extend: bool = True,
) -> tuple[Server, bool]:
    """Return the server of that name, and whether this call started it; see `start_server`.

    Args:
        extend: Whether ``linger`` and ``shared_kwargs`` concern a server that runs already, too.
    """
    check_server_name(name)
    if linger is not None and not linger >= 0:
        raise UsageError(f"linger={linger!r} is no time; give seconds, 0 or more, or None for ever")
    local, network = divided(listen, insecure=insecure)
    AllowList(allow)
    address = local or (f"unix:{name}" if HAS_UNIX_SOCKETS else "tcp://127.0.0.1:0")
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
                if not is_new and (network or allow):
                    server.listen(*network, allow=allow, insecure=insecure)
            except ConnectFailed:
                # It is on its way out, or not yet ready: wait for the one or the other.
                if time.monotonic() > give_up:
                    raise
            else:
                return server, is_new
        elif launches < _MOST_LAUNCHES and time.monotonic() < give_up:
            options = ServerOptions(name, address, linger, tuple(network), tuple(allow), insecure)
            is_new = launch(options)
            launches += is_new
        else:
            raise ServerStartFailed(
                f"server {name!r} was started {launches} times, but could not be found then; "
                f"see its log {Directory.default().log_path(name)}"
            )
        if not is_new:
            time.sleep(_RETRY_SECONDS)


def connect(
    name_or_address: str,
    *,
    token: str | None = None,
    pin: str | None = None,
    line_timeout: float | None = None,
) -> Server:
    """Return the running server of a name or address.

    Args:
        name_or_address: ``foo``, ``unix:foo`` or ``tcp://127.0.0.1:5900``; ``tls://labpc2:5900`` for one of another
            computer, which the rest is for.
        token: What the server's owner has given to you, as ``instrumentserver token show NAME`` prints it. By default
            ``$INSTRUMENTSERVER_TOKEN``, or what ``instrumentserver token add ADDRESS`` has stored.
        pin: The fingerprint of the server's certificate, as ``instrumentserver token pin NAME`` prints it. By default
            the certificate that the server shows at the first contact is remembered, and must not change.
        line_timeout: After how long a silence of the other computer the line counts as cut, also during a call,
            seconds, 2 to 3600. By default ``$INSTRUMENTSERVER_LINE_TIMEOUT``, or 5 s.

    Token, pin and time count for everything in this process that uses the server.

    Raises:
        UnknownName: No server of that name or address runs.
        ConnectFailed: It does not take connections, or not ours.
        UsageError: That is no token, no fingerprint, or no time.
    """
    if isinstance(name_or_address, str) and "://" in name_or_address:
        address = Address.parse(name_or_address)
        if address.path:
            raise UsageError(
                f"{name_or_address} is something on a server; get it with Proxy({name_or_address!r}), "
                f"or the server with connect({address.server!r})"
            )
    if is_network_address(name_or_address):
        return reach_afar(name_or_address, token, pin, line_timeout)
    if (token, pin, line_timeout) != (None, None, None):
        raise UsageError(
            f"token, pin and line_timeout are for servers on networks; {name_or_address} is one of this computer"
        )
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

    Args:
        name: Its name; or its address, such as ``tls://labpc2:5900/dac``. By name those servers of other computers are
            asked, too, with which this process is connected.

    Raises:
        UnknownName: There is none; the message says which servers were asked.
        UsageError: Several servers have one of that name; the message says how to choose.
    """
    here = Instrument._all_instruments.get(name)
    if here is not None:
        return here
    if isinstance(name, str) and is_server_address(name):
        return find_proxy_at(name)
    every = [*list_servers(), *connected_afar()]
    servers = [server for server in every if name in _names_on(server)]
    if len(servers) == 1:
        return servers[0].instruments[name]
    if servers:
        where = " and ".join(str(server.address) for server in servers)
        known = servers[0].address if servers[0].is_remote else servers[0].name
        raise UsageError(
            f"instrument {name!r} is on {where}; choose one, such as connect({known!r}).instruments[{name!r}]"
        )
    asked = (
        ", ".join(server.address if server.is_remote else server.name for server in every) or "no server runs"
    )
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
        server_name: The server, started if it does not run, or the address of one on another computer; "" for the
            class's default; None for an instrument of this process, as in QCoDeS.
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
    if is_network_address(server_name):
        return reach_afar(server_name).make(cls, name, args, kwargs, if_exists=if_exists)
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
