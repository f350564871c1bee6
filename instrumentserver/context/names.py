"""Names of channels, as users write them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from instrumentserver.errors import UsageError
from instrumentserver.transport.address import Address, check_server_name

__all__ = ["ChannelName", "parse_name", "parse_server"]

_LONGEST: Final = 1000
_PATH: Final = re.compile(r"[\w-]+(?:[.:][\w-]+)+")
_REMEDY: Final = "write INSTRUMENT.PARAMETER, such as dac.ch1.v, dac:ch1:v or unix:foo/dac.ch1.v"


class ChannelName(NamedTuple):
    """A channel's name, taken apart.

    Attributes:
        text: As the user wrote it.
        server: The address of the only server that is meant, "" for any.
        path: The parameter's path, with dots.
    """

    text: str
    server: str
    path: str


def parse_name(text: object) -> ChannelName:
    """Return what a name means.

    Raises:
        UsageError: It cannot be the name of a channel; the message says why.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r:.80} is no name of a channel but of type {type(text).__name__}; {_REMEDY}")
    if len(text) > _LONGEST:
        raise UsageError(f"{text[:40]!r}... has {len(text)} characters, more than {_LONGEST}; {_REMEDY}")
    server, path = "", text
    if "/" in text:
        server, _, path = text.rpartition("/")
        server = parse_server(server)
    if not _PATH.fullmatch(path):
        why = "has no parameter part" if path and re.fullmatch(r"[\w-]+", path) else "is no name of a channel"
        raise UsageError(f"{text!r:.200} {why}; {_REMEDY}")
    return ChannelName(text, server, path.replace(":", "."))


def parse_server(text: object) -> str:
    """Return the address of a server that is given by its address or its name.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(text, str) and ":" in text:
        address = Address.parse(text)
        if address.path:
            raise UsageError(f"{text!r:.200} names more than a server; write {address.server!r}")
        return address.server
    return f"unix:{check_server_name(text)}"  # type: ignore[arg-type]  # anything else is refused there
