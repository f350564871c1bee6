"""The code inside a server process: instruments, dispatch, connections."""

from .server import InstrumentServer, ServerOptions

__all__ = ["InstrumentServer", "ServerOptions"]
