"""The gateway: parameters of instruments on servers as process variables of EPICS."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from instrumentserver.errors import UsageError
from instrumentserver.schema import ChannelSchema

from .feed import Feed
from .follower import Follower
from .lanes import Lanes
from .table import LONGEST_CA_NAME, Function, Row, Table, as_served
from .targets import find_targets

__all__ = ["Gateway"]

logger = logging.getLogger(__name__)

_ANY_LENGTH: Final = 1_000
_FIRST_SECONDS: Final = 10.0
"""How long the start waits for servers that are slow to say what they have."""


class Gateway:
    """Serves parameters by Channel Access and by PVAccess, from its making until `close`.

    Instruments and servers may come and go meanwhile.

    Args:
        names: What is served: servers such as ``foo``, instruments such as ``foo/dac``, files such as ``lab.yaml``.
        prefix: What every name begins with.
        read_only: Whether nothing can be written and no function called.
        ca: Whether Channel Access is served.
        pva: Whether PVAccess is served.
        interfaces: Addresses of this computer to listen on; empty for what the environment says.
        ca_port: Where Channel Access clients search; 0 for any free port, None for what the environment says.
        pva_port: Where PVAccess clients connect; the same.
        pva_search_port: Where PVAccess clients search; the same.
        scan: How often watched parameters are read, seconds; None for as often as their drivers say, if at all.
        start: Whether servers and instruments that a file names are started and made where they are not there.

    Raises:
        UsageError: Something cannot be as it was asked for; the message says what can.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        prefix: str = "",
        read_only: bool = False,
        ca: bool = True,
        pva: bool = True,
        interfaces: Sequence[str] = (),
        ca_port: int | None = None,
        pva_port: int | None = None,
        pva_search_port: int | None = None,
        scan: float | None = 1.0,
        start: bool = False,
    ) -> None:
        if scan is not None and not scan > 0:
            raise UsageError(f"scan={scan!r} is no time; give seconds over 0, or None for no reading")
        if not ca and not pva:
            raise UsageError("neither Channel Access nor PVAccess is to be served; leave one of them in")
        self._read_only = read_only
        self._scan = scan
        self._table = Table(prefix, LONGEST_CA_NAME if ca else _ANY_LENGTH)
        self._feeds: dict[str, Feed] = {}
        self._is_closed = False
        self._guard = threading.RLock()
        self._lanes = Lanes()
        targets = find_targets(names, start=start)
        self._ca: Any = _load("channel_access").ChannelAccess(interfaces, ca_port) if ca else None
        try:
            served_pva = _load("pvaccess") if pva else None
            self._pva: Any = served_pva and served_pva.PvAccess(interfaces, pva_port, pva_search_port)
            self._followers = [
                Follower(target, self._lanes, self._update, with_functions=pva and not read_only)
                for target in targets
            ]
        except BaseException:
            self._close_servers()
            raise
        give_up = time.monotonic() + _FIRST_SECONDS
        for follower in self._followers:
            follower.is_ready.wait(max(0.0, give_up - time.monotonic()))

    # What it serves

    @property
    def names(self) -> list[str]:
        """The names of all process variables, in order."""
        return sorted(self._table.rows)

    @property
    def rows(self) -> list[Row]:
        """The process variables, in the order of their names."""
        return [row for _, row in sorted(self._table.rows.items())]

    @property
    def refused(self) -> dict[str, str]:
        """Names that are not served, and why."""
        return dict(self._table.refused)

    @property
    def ca_port(self) -> int | None:
        """Where Channel Access clients search, None if it is not served."""
        return None if self._ca is None else int(self._ca.port)

    @property
    def pva_port(self) -> int | None:
        """Where PVAccess clients connect, None if it is not served."""
        return None if self._pva is None else int(self._pva.port)

    @property
    def pva_conf(self) -> dict[str, str]:
        """The settings of a PVAccess client that is to find the gateway, by the names of environment variables."""
        return {} if self._pva is None else dict(self._pva.conf)

    # Its life

    def close(self) -> None:
        """End; clients see that it is gone. A second call does nothing."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
        for follower in self._followers:
            follower.close()
        self._close_servers()
        for feed in self._feeds.values():
            feed.close()
        self._lanes.close()

    def __enter__(self) -> Self:
        """Return the gateway."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _close_servers(self) -> None:
        for served in (self._ca, getattr(self, "_pva", None)):
            if served is not None:
                served.close()

    # What its followers tell

    def _update(self, follower: Follower, found: Iterable[ChannelSchema | Function]) -> None:
        """Serve what a server has now."""
        source = follower.source
        with self._guard:
            if self._is_closed:
                return
            changes = self._table.update(source.address, [self._as_served(what) for what in found])
            for row in changes.removed:
                self._remove(row)
            for row in changes.added:
                self._add(row, follower)
            for row in changes.described:
                self._describe(row)
        for name, reason in changes.refused.items():
            logger.warning("%s is not served: %s", name, reason)
        if changes.added or changes.removed:
            logger.info(
                "%s: %d process variables came, %d went, %d are served",
                source.address,
                len(changes.added),
                len(changes.removed),
                len(self._table.rows),
            )

    def _as_served(self, what: ChannelSchema | Function) -> ChannelSchema | Function:
        if isinstance(what, Function):
            return what
        known = self._table.rows.get(self._table.name_of(what.path))
        return as_served(what, known.what if known is not None else None, read_only=self._read_only)

    def _add(self, row: Row, follower: Follower) -> None:
        source = follower.source
        if isinstance(row.what, Function):
            self._pva.add_function(row, source)
            return
        feed = self._feeds[row.name] = Feed(row, source, self._scan, follower.look_again)
        if self._ca is not None:
            self._ca.add(feed)
        if self._pva is not None:
            self._pva.add(feed, source)

    def _remove(self, row: Row) -> None:
        feed = self._feeds.pop(row.name, None)
        if feed is not None and self._ca is not None:
            self._ca.remove(row.name)
        if self._pva is not None:
            self._pva.remove(row.name)
        if feed is not None:
            feed.close()

    def _describe(self, row: Row) -> None:
        feed = self._feeds.get(row.name)
        if feed is None or not isinstance(row.what, ChannelSchema):
            return
        feed.schema = row.what
        for served in (self._ca, self._pva):
            if served is not None:
                served.describe(feed)


def _load(module: str) -> Any:
    """Return a module that needs a package of the extra ``epics``.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        return importlib.import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("caproto", "p4p"):
            raise
        option = "--no-ca" if package == "caproto" else "--no-pva"
        raise UsageError(
            f"the package {package} is not installed; install it with: pip install 'instrumentserver[epics]', "
            f"or do without it: {option}"
        ) from error
