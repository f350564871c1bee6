"""``instrumentserver pyro``: the objects of a server for clients of Pyro5 and TimeTaggerRPC."""

from __future__ import annotations

from typing import Any

import click

from instrumentserver.gateways.pyro import DEFAULT_ID, DEFAULT_PORT, Gateway

from .group import main, told_to_end

__all__ = ["pyro"]


@main.command()
@click.argument("name")
@click.option("--host", default="localhost", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="The same; 0 for any.",
)
@click.option(
    "--object", "library", help="The module that TimeTaggerRPC's clients get; by default the only one."
)
@click.option("--id", "pyro_id", default=DEFAULT_ID, show_default=True, help="By which id they get it.")
@click.option("--insecure", is_flag=True, help="Let other computers in: Pyro proves nobody's identity.")
def pyro(name: str, **options: Any) -> None:
    """Show the objects of NAME, a server, as Pyro5 objects until Ctrl-C or SIGTERM."""
    with Gateway(name, **options) as gateway, told_to_end() as is_ended:
        for uri in gateway.uris:
            click.echo(f"Server URI= {uri}")
        is_ended.wait()
