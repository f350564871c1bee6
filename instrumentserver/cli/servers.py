"""Commands for servers: ``instrumentserver start``, ``stop``, ``list``, ``status``, ``log``, ``serve``, ``objects``."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import click
from ruamel.yaml import YAML

from instrumentserver.directory import Directory
from instrumentserver.errors import ConnectFailed, InstrumentServerError, UsageError
from instrumentserver.process import Server, connect, list_servers, start_server, stop_server
from instrumentserver.process.finding import started_server
from instrumentserver.transport.address import is_server_address
from instrumentserver.transport.exits import wait_for_exit
from instrumentserver.transport.keys import ServerKeys

from .group import main, print_table, told_to_end

__all__ = ["list_all", "log", "objects", "serve", "start", "status", "stop"]

_ANSWER_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.5


@main.command()
@click.argument("name")
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    help="Listen for other computers, too, such as at tls://0.0.0.0:5900; may be repeated.",
)
@click.option(
    "--linger",
    type=click.FloatRange(0),
    help="End it when nobody has used it for so many seconds. Otherwise it lives until it is stopped.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="IMPORT PATH",
    help="What clients on other computers may create and serve, such as instruments:Dac; may be repeated.",
)
@click.option(
    "--insecure", is_flag=True, help="Allow plain TCP on a network: everybody on the way can read it."
)
@click.option("--foreground", is_flag=True, help="Stay, and stop the server with Ctrl-C or SIGTERM.")
def start(
    name: str,
    listen: tuple[str, ...],
    linger: float | None,
    allow: tuple[str, ...],
    insecure: bool,
    foreground: bool,
) -> None:
    """Start the server NAME, or have a running one listen at more addresses."""
    server, is_new = started_server(name, linger=linger, listen=listen, allow=allow, insecure=insecure)
    if not foreground:
        _tell(server, is_new=is_new)
        return
    # Whoever has read that it started may press Ctrl-C.
    with told_to_end() as is_told:
        _tell(server, is_new=is_new)
        while not is_told.wait(_LOOK_SECONDS):
            if wait_for_exit(server.pid, 0):
                click.echo(f"server {name} has ended")
                return
    server.stop()
    click.echo(f"server {name} stopped")


def _tell(server: Server, *, is_new: bool) -> None:
    """Print where a server listens, and who can prove that it is the right one."""
    state = "started" if is_new else "runs already"
    click.echo(f"server {server.name} {state}, pid {server.pid}: {', '.join(server.addresses)}")
    keys = ServerKeys(server.name)
    if keys.is_there:
        click.echo(f"certificate {keys.fingerprint}; tokens: instrumentserver token show {server.name}")


@main.command()
@click.argument("name", metavar="NAME|ADDRESS")
def stop(name: str) -> None:
    """Close everything on a server and end it."""
    if is_server_address(name):
        connect(name).stop()
    elif Directory.default().find(name) is None:
        raise UsageError(f"no server {name!r} runs; see instrumentserver list")
    else:
        stop_server(name)
    click.echo(f"server {name} stopped")


@main.command("list")
def list_all() -> None:
    """List the running servers of this user."""
    rows = [_row(server) for server in list_servers()]
    if rows:
        print_table(["NAME", "PID", "LISTENS AT", "HAS", "CLIENTS"], rows)
    else:
        click.echo("no server runs")


def _row(server: Server) -> list[str]:
    try:
        status = server.ask_status(_ANSWER_SECONDS)
    except (ConnectFailed, TimeoutError):
        return [server.name, str(server.pid), server.address, "does not answer", ""]
    has = [*status["instruments"], *status["objects"]]
    others = [client for client in status["clients"] if client["pid"] != os.getpid()]
    return [
        server.name,
        str(server.pid),
        " ".join(status["addresses"]),
        " ".join(has) or "-",
        str(len(others)),
    ]


@main.command()
@click.argument("name", metavar="NAME|ADDRESS")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for other programs.")
def status(name: str, as_json: bool) -> None:
    """Show what a server is and does, and who uses it."""
    told = connect(name).status()
    if as_json:
        click.echo(json.dumps(told, indent=2, default=str))
        return
    for key in ("name", "pid", "started", "linger", "python", "qcodes"):
        click.echo(f"{key:<12} {told[key]}")
    click.echo(f"{'addresses':<12} {' '.join(told['addresses'])}")
    click.echo(f"{'allow':<12} {' '.join(told['allow']) or '-'}")
    for key in ("instruments", "objects"):
        for each, kind in told[key].items():
            click.echo(f"{key[:-1]:<12} {each}: {kind}")
    for client in told["clients"]:
        where = client.get("from") or client.get("host")
        role = client.get("role", "local")
        who = f"{client.get('program')} (pid {client.get('pid')}) of {client.get('user')}"
        click.echo(f"{'client':<12} {who} at {where}, {role}")
    for call in told["calls"]:
        click.echo(
            f"{'call':<12} {call['operation']} {call['path']} for {call['client']}, "
            f"{call['state']} since {call['seconds']:.1f} s"
        )


@main.command()
@click.argument("name", metavar="NAME|ADDRESS")
@click.option("--lines", default=50, show_default=True, help="How many lines at most.")
def log(name: str, lines: int) -> None:
    """Print the end of a server's log; of one that has ended, too."""
    if is_server_address(name) or Directory.default().find(name) is not None:
        click.echo(connect(name).log(lines))
        return
    path = Directory.default().log_path(name)
    if not path.exists():
        raise UsageError(f"no server {name!r} runs, and none has left a log at {path}")
    click.echo("\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]))


@main.command()
@click.argument("name", metavar="NAME|ADDRESS")
@click.argument("what", metavar="IMPORT-PATH")
@click.argument("object_name", metavar="[OBJECT]", default="")
@click.option(
    "--expose", multiple=True, metavar="PATTERN", help="Only these names, such as get*; may be repeated."
)
@click.option("--lock", type=click.Choice(["one", "each", "none"]), default="one", show_default=True)
@click.option(
    "--access", type=click.Choice(["shared", "exclusive", "client"]), default="shared", show_default=True
)
@click.option("--reads", multiple=True, metavar="PATTERN", help="What viewers may call; may be repeated.")
@click.option(
    "--call", "is_called", is_flag=True, help="Call the class on the server, and serve what it makes."
)
@click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="VALUE",
    help="Call it with this, written as in YAML; may be repeated.",
)
def serve(
    name: str,
    what: str,
    object_name: str,
    expose: tuple[str, ...],
    reads: tuple[str, ...],
    is_called: bool,
    arguments: tuple[str, ...],
    **options: Any,
) -> None:
    """Serve a module or what is in one, package.module:Name, on the server NAME, started if it does not run.

    OBJECT is the name under which clients find it; by default the last part of the import path.
    """
    server = connect(name) if is_server_address(name) else start_server(name, linger=None)
    served_as = object_name or what.replace(":", ".").rpartition(".")[2]
    values = [YAML(typ="safe").load(text) for text in arguments] if arguments or is_called else None
    try:
        proxy = server.serve(
            what, served_as, expose=list(expose) or None, reads=reads, arguments=values, **options
        )
    except InstrumentServerError:
        raise
    except Exception as error:
        # What the library says when it is imported or called.
        raise click.ClickException(f"{what}: {type(error).__name__}: {error}") from error
    click.echo(f"{what} is served: {proxy.uri}")


@main.command()
@click.argument("name", metavar="NAME|ADDRESS")
def objects(name: str) -> None:
    """List the objects of a server, and who has them."""
    found = connect(name).proxies()
    if not found:
        click.echo(f"server {name} serves no objects")
        return
    rows = [[each["path"], each["class"], _holders(each["holders"])] for each in found]
    print_table(["OBJECT", "CLASS", "HELD BY"], rows)


def _holders(holders: list[dict[str, Any]]) -> str:
    return (
        ", ".join(
            f"{each['program']} (pid {each['pid']}) of {each['user']}@{each['host']}" for each in holders
        )
        or "-"
    )
