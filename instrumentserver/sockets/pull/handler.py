"""What a pull socket answers."""

from __future__ import annotations

from collections.abc import Callable

from ..constants import UNKNOWN_COMMAND
from ..failures import Refused
from ..status import encode_status
from .codec import decode_request, encode_json, encode_raw, encode_raw_with_names
from .points import Points

__all__ = ["PullUDPHandler"]


class PullUDPHandler:
    """Answers requests for points. A subclass with more commands overrides `reply`.

    Args:
        name: The socket's name; None: it has none, and does not know the command.
        points: What it shows.
    """

    def __init__(self, name: str | None, points: Points) -> None:
        self.name = name
        self.points = points
        self._replies: dict[str, Callable[[], bytes]] = {
            "raw": lambda: encode_raw(points.in_order()),
            "json": lambda: encode_json(points.in_order()),
            "raw_wn": lambda: encode_raw_with_names(points.named()),
            "json_wn": lambda: encode_json(points.all()),
            "codenames_raw": lambda: ",".join(points.codenames).encode("ascii"),
            "codenames_json": lambda: encode_json(points.codenames),
            "status": lambda: encode_status().encode("ascii"),
        }
        if name is not None:
            self._replies["name"] = lambda: name.encode("ascii")

    def reply(self, request: bytes) -> bytes:
        """Return the reply to a request.

        Raises:
            Refused: The command or the codename is unknown.
            Exception: A point has no form in the format that was asked for; there is no reply then.
        """
        command, codename = decode_request(request)
        if codename is None:
            encode = self._replies.get(command)
            if encode is None:
                raise Refused(UNKNOWN_COMMAND)
            return encode()
        try:
            point = self.points.one(codename)
        except KeyError:
            raise Refused(UNKNOWN_COMMAND) from None
        return encode_json(point) if command == "json" else encode_raw([point])
