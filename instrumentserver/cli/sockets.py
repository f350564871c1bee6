"""``instrumentserver publish`` and ``control``: instruments for programs that speak the protocol of PyExpLabSys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from qcodes.instrument.instrument_base import InstrumentBase

from instrumentserver.client.registry import find_proxy
from instrumentserver.errors import UsageError
from instrumentserver.process import connect
from instrumentserver.sockets import DataPushSocket
from instrumentserver.sockets import control as control_instrument
from instrumentserver.sockets import publish as publish_parameters
from instrumentserver.sockets.bridge.methods import method_names
from instrumentserver.sockets.bridge.parameters import parameter_paths
from instrumentserver.sockets.bridge.targets import enumerated
from instrumentserver.transport.address import Address, is_server_address

from .group import main, print_table, told_to_end

__all__ = ["control", "publish"]

_PORTS = click.IntRange(0, 65535)


@main.command()
@click.argument("instrument", metavar="SERVER/INSTRUMENT")
@click.argument("parameters", nargs=-1, metavar="[[CODENAME=]PARAMETER]...")
@click.option("--name", help="What the socket is called; by default as the instrument.")
@click.option("--port", type=_PORTS, default=9000, show_default=True, help="UDP port; 0 for any.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0 lets everybody ask."
)
@click.option(
    "--timeout",
    "timeouts",
    type=click.FloatRange(0),
    multiple=True,
    metavar="SECONDS",
    help="Age above which a value is OLD_DATA; once for all, or once for each parameter. By default none is.",
)
@click.option(
    "--period",
    type=click.FloatRange(0.001),
    metavar="SECONDS",
    help="Read the parameters so often, too, which also confirms those that do not change.",
)
def publish(
    instrument: str, parameters: tuple[str, ...], timeouts: tuple[float, ...], **options: Any
) -> None:
    """Show parameters of an instrument, such as foo/laser, in a pull socket until Ctrl-C or SIGTERM.

    PARAMETER is its name, or its path such as ch1.v, which is the codename, too, if none is given, as in
    moon_laser_power=power. Without any, all that can be read are shown.
    """
    source = _found(instrument)
    named = _named(parameters) or _all_of(source)
    if len(timeouts) not in (0, 1, len(named)):
        raise UsageError(
            f"--timeout is there {len(timeouts)} times for {len(named)} parameters; give it once for all, or for each"
        )
    ages = timeouts[0] if len(timeouts) == 1 else (timeouts or None)
    with told_to_end() as is_ended, publish_parameters(source, named, ages, **options) as publication:
        click.echo(
            f"{len(named)} parameters of {instrument} are shown at {options['host']}:{publication.port}; Ctrl-C ends it"
        )
        print_table(["CODENAME", "PARAMETER"], [[codename, path] for codename, path in named.items()])
        is_ended.wait()


@main.command()
@click.argument("instrument", metavar="SERVER/INSTRUMENT")
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="[CODENAME=]PARAMETER",
    help="What can be set: its name or path; may be repeated.",
)
@click.option(
    "--call",
    "methods",
    multiple=True,
    metavar="[NAME=]METHOD",
    help="What can be called: its name or path; may be repeated.",
)
@click.option(
    "--read",
    "reads",
    multiple=True,
    metavar="[NAME=]METHOD",
    help="What can be called, by viewers as well; may be repeated.",
)
@click.option(
    "--return-format",
    type=click.Choice(["json", "string", "raw"]),
    default="json",
    show_default=True,
    help="How answers are sent.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="NETWORK=viewer|operator",
    help="Who may do what, such as 192.168.1.0/24=viewer; may be repeated. Without it everybody may do all.",
)
@click.option("--name", help="What the socket is called; by default as the instrument.")
@click.option("--port", type=_PORTS, default=8500, show_default=True, help="UDP port; 0 for any.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0 lets everybody send."
)
def control(
    instrument: str,
    parameters: tuple[str, ...],
    methods: tuple[str, ...],
    reads: tuple[str, ...],
    roles: tuple[str, ...],
    return_format: str,
    name: str | None,
    port: int,
    host: str,
) -> None:
    """Let programs set parameters and call methods of an instrument, such as foo/laser, until Ctrl-C or SIGTERM.

    What is not listed cannot be reached.
    """
    target = _found(instrument)
    to_set, to_call, to_read = _named(parameters), _named(methods), _named(reads)
    if not (to_set or to_call or to_read):
        raise UsageError(f"list what is allowed with --set, --call and --read; {_what_there_is(target)}")
    socket = DataPushSocket(
        name or instrument.rpartition("/")[2], port, return_format=return_format, host=host
    )
    try:
        controlled = control_instrument(
            target, socket, to_set, {**to_call, **to_read}, reads=to_read, roles=_roles(roles)
        )
    except BaseException:
        socket.stop()
        raise
    with told_to_end() as is_ended, controlled:
        click.echo(f"commands for {instrument} are taken at {host}:{socket.port}; Ctrl-C ends it")
        rows = [["set", codename, path] for codename, path in to_set.items()]
        rows += [["call", called, path] for called, path in to_call.items() if called not in to_read]
        rows += [["read", called, path] for called, path in to_read.items()]
        print_table(["WHAT", "NAME", "OF THE INSTRUMENT"], rows)
        is_ended.wait()


def _found(name: str) -> Any:
    """Return the proxy that a name such as ``foo/laser`` means.

    Raises:
        UsageError: It names no instrument.
        UnknownName: There is none, or its server does not run.
    """
    if is_server_address(name):
        address = Address.parse(name)
    else:
        server, _, path = name.partition("/")
        address = Address(connect(server).address, path)
    if not address.path:
        raise UsageError(f"{name} is a server; name an instrument on it, such as {name}/laser")
    return find_proxy(address)


def _named(texts: Iterable[str]) -> dict[str, str]:
    """Return paths by name, from ``name=path`` and ``path``."""
    named: dict[str, str] = {}
    for text in texts:
        name, sign, path = text.partition("=")
        if name in named:
            raise UsageError(f"{name} is given twice; give each name once")
        named[name] = path if sign else name
    return named


def _roles(texts: Iterable[str]) -> dict[str, str] | None:
    """Return roles by network, None for no roles."""
    roles: dict[str, str] = {}
    for text in texts:
        network, sign, role = text.partition("=")
        if not sign or network in roles:
            raise UsageError(f"--role {text}: give each network once, as in 192.168.1.0/24=viewer")
        roles[network] = role
    return roles or None


def _all_of(instrument: Any) -> dict[str, str]:
    """Return the paths of all parameters that can be read, by themselves."""
    if not isinstance(instrument, InstrumentBase):
        raise UsageError(f"{instrument!r:.80} is no instrument; only parameters of such can be shown")
    return {path: path for path in parameter_paths(instrument, to_set=False)}


def _what_there_is(target: Any) -> str:
    """Return a sentence about what can be set and called."""
    there_is = f"methods: {enumerated(method_names(target))}"
    if isinstance(target, InstrumentBase):
        return f"parameters: {enumerated(parameter_paths(target, to_set=True))}; {there_is}"
    return there_is
