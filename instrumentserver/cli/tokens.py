"""Commands for tokens and certificates: ``instrumentserver token show``, ``rotate``, ``pin``, ``add``, ``forget``."""

from __future__ import annotations

import sys

import click

from instrumentserver.directory import Directory
from instrumentserver.errors import ConnectFailed, UsageError
from instrumentserver.process import connect
from instrumentserver.transport import known_servers
from instrumentserver.transport.address import endpoint_of, is_network_address
from instrumentserver.transport.keys import ROLES, ServerKeys

from .group import main, print_table

__all__ = ["token"]

_role = click.option("--role", type=click.Choice(ROLES), help="Of this role only.")


@main.group()
def token() -> None:
    """Tokens and certificates of servers on networks."""


@token.command()
@click.argument("name")
@_role
def show(name: str, role: str | None) -> None:
    """Print the tokens of your server NAME, to be given to those who shall use it."""
    keys = ServerKeys(name)
    if role is not None:
        click.echo(keys.token(role))
        return
    for each in ROLES:
        click.echo(f"{each:<8} {keys.token(each)}")


@token.command()
@click.argument("name")
@_role
def rotate(name: str, role: str | None) -> None:
    """Make the tokens of your server NAME anew; who is connected with the token before is cut."""
    keys = ServerKeys(name)
    for each in ROLES if role is None else (role,):
        keys.token(each)
        keys.rotate(each)
    cut = 0
    if Directory.default().find(name) is not None:
        try:
            cut = connect(name).check_tokens()
        except ConnectFailed as error:
            raise UsageError(
                f"the tokens are new, but server {name!r} does not answer, and those who are connected stay so; "
                f"stop it: {error}"
            ) from error
    click.echo(f"new: {role or ', '.join(ROLES)}; connections cut: {cut}")


@token.command()
@click.argument("name")
def pin(name: str) -> None:
    """Print the fingerprint of the certificate of your server NAME."""
    click.echo(ServerKeys(name).fingerprint)


@token.command()
@click.argument("address")
def add(address: str) -> None:
    """Store the token for the server at ADDRESS, such as tls://labpc2:5900, read from the keyboard or from a pipe."""
    address = _checked(address)
    text = click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    known_servers.add_token(address, text)
    click.echo(f"token for {address} stored")


@token.command()
@click.argument("address")
@click.option("--pin", "also_pin", is_flag=True, help="The certificate, not the token.")
def forget(address: str, also_pin: bool) -> None:
    """Forget the token for the server at ADDRESS, or with --pin its certificate."""
    address = _checked(address)
    was_there = known_servers.forget_pin(address) if also_pin else known_servers.forget_token(address)
    if not was_there:
        raise UsageError(f"no {'certificate' if also_pin else 'token'} of {address} is stored")
    click.echo(f"{'certificate' if also_pin else 'token'} of {address} forgotten")


@token.command()
def known() -> None:
    """List the servers on networks whose certificate or token is stored."""
    pins, tokens = known_servers.known_pins(), known_servers.stored_tokens()
    rows = [
        [address, "yes" if address in tokens else "no", pins.get(address, "-")]
        for address in sorted({*pins, *tokens})
    ]
    print_table(["ADDRESS", "TOKEN", "CERTIFICATE"], rows)


def _checked(address: str) -> str:
    if not is_network_address(address):
        raise UsageError(f"{address!r} is not the address of a server on a network; write tls://HOST:PORT")
    return str(endpoint_of(address))
