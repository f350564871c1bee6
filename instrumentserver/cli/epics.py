"""``instrumentserver epics``: the parameters of servers as process variables."""

from __future__ import annotations

from typing import Any

import click

from instrumentserver.errors import InstrumentServerError
from instrumentserver.gateways.epics import Gateway
from instrumentserver.schema import ChannelSchema, ChannelType

from .group import main, told_to_end

__all__ = ["epics"]


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|lab.yaml...")
@click.option(
    "--prefix", default="", help="What the name of every process variable begins with, such as lab:"
)
@click.option("--read-only", is_flag=True, help="Let nobody write or call anything.")
@click.option("--list", "only_list", is_flag=True, help="Print one line for each process variable, and end.")
@click.option("--no-ca", is_flag=True, help="Do not serve Channel Access.")
@click.option("--no-pva", is_flag=True, help="Do not serve PVAccess.")
@click.option(
    "--interface", multiple=True, metavar="ADDRESS", help="Listen on this address only; may be repeated."
)
@click.option(
    "--port", "--ca-port", "ca_port", type=click.IntRange(0, 65535), help="Of Channel Access; 0 for any."
)
@click.option("--pva-port", type=click.IntRange(0, 65535), help="Of PVAccess, for connections; 0 for any.")
@click.option(
    "--pva-search-port", type=click.IntRange(0, 65535), help="Of PVAccess, for searches; 0 for any."
)
@click.option(
    "--scan",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Read watched parameters every so many seconds; 0 leaves it to their drivers.",
)
@click.option(
    "--start/--no-start",
    default=True,
    help="Start what a file names and what is not there.",
    show_default=True,
)
def epics(
    names: tuple[str, ...], only_list: bool, no_ca: bool, no_pva: bool, scan: float, **options: Any
) -> None:
    """Serve the parameters of NAME, a server, as process variables of EPICS until Ctrl-C or SIGTERM.

    NAME may be an instrument of a server, too, such as foo/dac; a file lab.yaml stands for all instruments in it.
    """
    options["interfaces"] = options.pop("interface")
    try:
        gateway = Gateway(names, ca=not no_ca, pva=not no_pva, scan=scan or None, **options)
    except InstrumentServerError as error:
        raise click.ClickException(str(error)) from error
    with gateway, told_to_end() as is_ended:
        if only_list:
            _print_table(gateway)
            return
        click.echo(_summary(gateway))
        is_ended.wait()


def _summary(gateway: Gateway) -> str:
    """Return one line about what is served where."""
    ports = [("Channel Access", gateway.ca_port), ("PVAccess", gateway.pva_port)]
    where = " and ".join(f"{protocol} (port {port})" for protocol, port in ports if port is not None)
    return f"{len(gateway.names)} process variables are served by {where}; Ctrl-C ends it"


def _print_table(gateway: Gateway) -> None:
    """Print what is served, and what is not."""
    for row in gateway.rows:
        what = row.what
        if isinstance(what, ChannelSchema):
            kind = ChannelType(what.type).name + (f"[{what.count}]" if what.is_array else "")
            access = f"{'r' if what.gettable else '-'}{'w' if what.settable else '-'}"
            told = f"{kind:<12} {access}  {what.unit}"
        else:
            told = f"{'function':<12} -x"
        click.echo(f"{row.name:<60} {told}".rstrip())
    for name, reason in sorted(gateway.refused.items()):
        click.echo(f"{name} is not served: {reason}", err=True)
