"""The code inside a server process: instruments, dispatch, connections."""

from .options import ServerOptions
from .server import InstrumentServer

__all__ = ["InstrumentServer", "ServerOptions"]
