"""What a pull socket answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..constants import UNKNOWN_COMMAND
from ..failures import Refused
from ..status import encode_status
from .codec import decode_request, encode_json
from .points import Points
from .texts import PointTexts

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
        self._texts = texts = PointTexts()
        replies: dict[str, Callable[[], bytes]] = {
            "raw": lambda: texts.all_raw(points.named()),
            "json": lambda: texts.all_json(points.named()),
            "raw_wn": lambda: texts.named_raw(points.named()),
            "json_wn": lambda: texts.named_json(points.all()),
            "codenames_raw": lambda: ",".join(points.codenames).encode("ascii"),
            "codenames_json": lambda: encode_json(points.codenames),
            "status": lambda: encode_status().encode("ascii"),
        }
        if name is not None:
            replies["name"] = lambda: name.encode("ascii")
        for codename in points.codenames:
            replies[f"{codename}#raw"] = partial(self._raw, codename)
            replies[f"{codename}#json"] = partial(self._json, codename)
        # By bytes: decoding a request would take as long as all the rest. What is not ASCII can never be asked for.
        self._replies = {
            request.encode("ascii"): reply for request, reply in replies.items() if request.isascii()
        }

    def reply(self, request: bytes) -> bytes:
        """Return the reply to a request.

        Raises:
            Refused: The command or the codename is unknown.
            Exception: A point has no form in the format that was asked for; there is no reply then.
        """
        encode = self._replies.get(request)
        return self._reply_to_others(request) if encode is None else encode()

    def _reply_to_others(self, request: bytes) -> bytes:
        """Return the reply for a codename that the socket was not made with; raises as `reply`."""
        command, codename = decode_request(request)
        if codename is None:
            raise Refused(UNKNOWN_COMMAND)
        try:
            return self._json(codename) if command == "json" else self._raw(codename)
        except KeyError:
            raise Refused(UNKNOWN_COMMAND) from None

    def _raw(self, codename: str) -> bytes:
        """Return one point as raw text; raises KeyError if there is none."""
        return self._texts.raw(codename, self.points.one(codename))

    def _json(self, codename: str) -> bytes:
        """Return one point as JSON; raises KeyError if there is none."""
        return self._texts.json(codename, self.points.one(codename))
