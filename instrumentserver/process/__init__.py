"""Server processes: started, found, stopped; what composes server and client."""

from .finding import (
    connect,
    find_instrument,
    find_or_create_instrument,
    list_servers,
    start_server,
    stop_server,
)
from .handle import Server

__all__ = [
    "Server",
    "connect",
    "find_instrument",
    "find_or_create_instrument",
    "list_servers",
    "start_server",
    "stop_server",
]
