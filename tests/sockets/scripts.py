"""How a short script of the field speaks with sockets: from a port of its own each time."""

from __future__ import annotations

import json
import socket


def ask(port: int, command: str) -> str:
    """Send a command and return the reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(command.encode("ascii"), ("127.0.0.1", port))
        return client.recv(2048).decode("ascii")


def states(port: int) -> dict:
    """Return what ``status`` says of the sockets of this process."""
    return json.loads(ask(port, "status"))["socket_server_status"]
