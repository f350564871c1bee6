"""The older names of the pull sockets, which have no name on the network and other defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .sockets import DataPullSocket, DateDataPullSocket

__all__ = ["DataSocket", "DateDataSocket"]


class DateDataSocket(DateDataPullSocket):
    """A `DateDataPullSocket` without a name: to ``name`` it answers that it does not know the command."""

    def __init__(
        self,
        codenames: Sequence[str],
        port: int = 9000,
        default_x: Any = 0,
        default_y: Any = 47,
        timeouts: float | Sequence[float | None] | None = None,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        super().__init__(None, codenames, port, default_x, default_y, timeouts, host=host)


class DataSocket(DataPullSocket):
    """A `DataPullSocket` without a name: to ``name`` it answers that it does not know the command."""

    def __init__(
        self,
        codenames: Sequence[str],
        port: int = 9010,
        default_x: Any = 47,
        default_y: Any = 47,
        timeouts: float | Sequence[float | None] | None = None,
        *,
        host: str = "0.0.0.0",
    ) -> None:
        super().__init__(None, codenames, port, default_x, default_y, timeouts, host=host)
