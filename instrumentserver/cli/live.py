"""``instrumentserver live``: the points of live sockets as parameters."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, Final

import click

from instrumentserver.errors import UsageError
from instrumentserver.process import Server
from instrumentserver.process.finding import started_server
from instrumentserver.sockets import LivePoint, LiveServer
from instrumentserver.transport.exits import wait_for_exit

from .group import main, told_to_end

__all__ = ["live"]

_LOOK_SECONDS: Final = 0.5


@main.command()
@click.argument("name")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8100, show_default=True, help="UDP port; 0 for any."
)
@click.option(
    "--host", default="0.0.0.0", show_default=True, help="Where to listen; 127.0.0.1 for this computer only."
)
@click.option(
    "--server", "server_name", help="The server that gets it, started if it does not run; by default NAME."
)
@click.option("--show", is_flag=True, help="Print each point as it comes: host, codename, [x, y].")
def live(name: str, server_name: str | None, show: bool, **options: Any) -> None:
    """Receive what live sockets send until Ctrl-C or SIGTERM, as parameters of the instrument NAME."""
    server, is_new = started_server(server_name or name)
    try:
        with closing(_made(server, name, options)) as receiver, told_to_end() as is_ended:
            # Held until the end, and not closed: a server that has ended could not be told.
            subscription = receiver.subscribe(_show) if show else None
            where = f"UDP port {receiver.port} of {receiver.host}"
            click.echo(f"{server.name}/{name} receives at {where}; Ctrl-C ends it")
            while not is_ended.wait(_LOOK_SECONDS):
                if wait_for_exit(server.pid, 0):
                    raise click.ClickException(f"server {server.name} has ended")
            del subscription
    finally:
        if is_new:
            server.stop_if_unused()


def _made(server: Server, name: str, options: dict[str, Any]) -> Any:
    try:
        return server.create(LiveServer, name, **options)
    except KeyError as error:
        raise UsageError(error.args[0]) from error


def _show(point: LivePoint) -> None:
    """Print a point."""
    content = "RESET" if point.x is None else json.dumps([point.x, point.y])
    click.echo(f"{point.host} {point.codename} {content}")
