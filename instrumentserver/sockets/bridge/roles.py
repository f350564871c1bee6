"""Roles: who may do what through a socket, by the network he sends from."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from instrumentserver.errors import UsageError

__all__ = ["OPERATOR", "VIEWER", "Roles"]

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"


class Roles:
    """Tells the role of an address.

    Addresses of UDP can be forged: roles keep mistakes out, and no attackers.

    Args:
        roles: Role by network, ``{'192.168.1.0/24': 'viewer', '127.0.0.1': 'operator'}``; of the networks that an
            address is in, the smallest counts. None: everybody is an operator.

    Raises:
        UsageError: That is no network of IPv4, or no role.
    """

    def __init__(self, roles: Mapping[str, str] | None) -> None:
        self._is_open = roles is None
        self._roles: dict[IPv4Network, str] = {}
        for text, role in (roles or {}).items():
            network = _network(text)
            if role not in (VIEWER, OPERATOR):
                raise UsageError(f"{role!r} is no role for {text}; choose {VIEWER!r} or {OPERATOR!r}")
            if self._roles.setdefault(network, role) != role:
                raise UsageError(f"{network} is given two roles; choose one")

    def of(self, host: str) -> str | None:
        """Return the role of a client at an address such as ``'192.168.1.7'``; None: he may do nothing."""
        if self._is_open:
            return OPERATOR
        address = IPv4Address(host)
        fitting = [network for network in self._roles if address in network]
        return self._roles[max(fitting, key=lambda network: network.prefixlen)] if fitting else None


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{text!r} is no network: {error}; give one such as '192.168.1.0/24', or an address such as '127.0.0.1'"
        ) from None
