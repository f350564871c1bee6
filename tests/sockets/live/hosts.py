"""Hosts that send points, and what a live server has received of them."""

from __future__ import annotations

import json
import socket
from typing import Any

from received import eventually

from instrumentserver.sockets import LiveServer

LOCAL = "127.0.0.1"


class Host:
    """A computer with a live socket, as a live server sees it.

    Args:
        name: What it calls itself; None says nothing.
        port: Of the live server.
        address: From where it sends.
    """

    def __init__(self, name: str | None, port: int, address: str = LOCAL) -> None:
        self.name = name
        self.live_server = (LOCAL, port)
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind((address, 0))

    def send(self, **points: Any) -> None:
        """Send points, or the word RESET, by codename."""
        content = {"data": points} if self.name is None else {"host": self.name, "data": points}
        self.send_bytes(json.dumps(content).encode())

    def send_bytes(self, datagram: bytes) -> None:
        self._line.sendto(datagram, self.live_server)

    def close(self) -> None:
        self._line.close()


def received(live: LiveServer, number: int) -> dict[str, Any]:
    """Wait until so many datagrams have come; return the statistics."""
    eventually(lambda: live.statistics()["received"] == number)
    return live.statistics()


def refused(live: LiveServer, number: int) -> int:
    """Wait until so many datagrams have come; return how many were refused."""
    return int(received(live, number)["refused"])
