"""The texts of a pull socket's points, kept as long as the points are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..constants import OLD_DATA
from .codec import encode_json, encode_raw

__all__ = ["PointTexts"]

_UNCHANGING: Final = frozenset({float, int, bool, str, type(None)})


class PointTexts:
    """Encodes points by codename, each once: a point is asked for more often than set.

    Only for the thread that answers. All methods raise as `encode_json` and `encode_raw` do.
    """

    def __init__(self) -> None:
        self._raw: dict[Any, tuple[Any, bytes]] = {}
        self._json: dict[Any, tuple[Any, bytes]] = {}
        self._keys: dict[Any, bytes] = {}

    def raw(self, codename: Any, point: Any) -> bytes:
        """Return one point as raw text."""
        known = self._raw.get(codename)
        if known is not None and known[0] is point:
            return known[1]
        text = encode_raw(point)
        if _is_unchanging(point):
            self._raw[codename] = point, text
        return text

    def json(self, codename: Any, point: Any) -> bytes:
        """Return one point as JSON."""
        known = self._json.get(codename)
        if known is not None and known[0] is point:
            return known[1]
        text = encode_json(point)
        if _is_unchanging(point):
            self._json[codename] = point, text
        return text

    def all_raw(self, points: Mapping[Any, Any]) -> bytes:
        """Return points as raw text."""
        return b";".join([self.raw(codename, point) for codename, point in points.items()])

    def all_json(self, points: Mapping[Any, Any]) -> bytes:
        """Return points as a JSON list."""
        return b"[%b]" % b", ".join([self.json(codename, point) for codename, point in points.items()])

    def named_raw(self, points: Mapping[Any, Any]) -> bytes:
        """Return points as raw text, each with its codename."""
        return b";".join(
            [
                codename.encode("ascii") + b":" + self.raw(codename, point)
                for codename, point in points.items()
            ]
        )

    def named_json(self, points: Mapping[Any, Any]) -> bytes:
        """Return points as a JSON object."""
        return b"{%b}" % b", ".join(
            [self._key(codename) + self.json(codename, point) for codename, point in points.items()]
        )

    def _key(self, codename: Any) -> bytes:
        """Return a codename as JSON, with the colon."""
        key = self._keys.get(codename)
        if key is None:
            # A socket takes points of any name: JSON writes a number as text here.
            key = self._keys[codename] = encode_json({codename: 0})[1:-2]
        return key


def _is_unchanging(point: Any) -> bool:
    """Return whether a point is the same as long as it is the same object."""
    if type(point) is not tuple:
        return point is OLD_DATA
    return _UNCHANGING.issuperset(map(type, point))
