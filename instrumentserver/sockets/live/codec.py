"""What a live socket sends, as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["encode_points", "encode_reset"]


def encode_points(host: str, points: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the datagram with points ``(x, y)`` by codename, from the computer ``host``."""
    return json.dumps({"host": host, "data": points}).encode("utf-8")


def encode_reset(codenames: Iterable[str]) -> bytes:
    """Return the datagram that has the points of these codenames forgotten."""
    return json.dumps({"data": dict.fromkeys(codenames, "RESET")}).encode("utf-8")
