"""Which hosts send from which addresses: a reset does not say whose points it means."""

from __future__ import annotations

from typing import Final

__all__ = ["Senders"]

_MOST_ADDRESSES: Final = 1024
_MOST_PORTS: Final = 64
"""Ports of one address that are kept."""


class Senders:
    """Remembers the host that every sender named; of very many the oldest are forgotten."""

    def __init__(self) -> None:
        self._hosts: dict[str, dict[int, str]] = {}

    def note(self, sender: tuple[str, int], host: str) -> None:
        """Remember that a sender, an address and a port, sent points of a host."""
        address, port = sender
        ports = self._hosts.get(address)
        if ports is None:
            if len(self._hosts) >= _MOST_ADDRESSES:
                del self._hosts[next(iter(self._hosts))]
            ports = self._hosts[address] = {}
        if ports.get(port) != host:
            if len(ports) >= _MOST_PORTS:
                del ports[next(iter(ports))]
            ports[port] = host

    def hosts(self, sender: tuple[str, int]) -> set[str]:
        """Return the host of a sender; of one that sent none, all of its address."""
        address, port = sender
        ports = self._hosts.get(address, {})
        return {ports[port]} if port in ports else set(ports.values())
