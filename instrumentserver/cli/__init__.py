"""The command line: ``instrumentserver COMMAND``."""

from . import epics, live, pyro, servers, sockets, tokens
from .group import main

__all__ = ["epics", "live", "main", "pyro", "servers", "sockets", "tokens"]
