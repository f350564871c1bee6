"""The command line: ``instrumentserver COMMAND``."""

from . import epics, pyro, servers, tokens
from .group import main

__all__ = ["epics", "main", "pyro", "servers", "tokens"]
