"""QCoDeS's registry of instruments, as a server process has it: it knows the whole lab."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakValueDictionary

from qcodes.instrument import Instrument

from instrumentserver.client import RemoteInstrument
from instrumentserver.client.registry import find_proxy, open_session
from instrumentserver.client.session import Session, time_limit
from instrumentserver.directory import Directory
from instrumentserver.errors import InstrumentServerError
from instrumentserver.transport.address import Address
from instrumentserver.wire.messages import Op

__all__ = ["LabInstruments", "is_used_elsewhere", "waits_elsewhere"]

_ANSWER_SECONDS: Final = 2.0


class LabInstruments(WeakValueDictionary[str, Instrument]):
    """Instruments by name; one that is not in this process is looked for on the other servers.

    With it QCoDeS's ``find_instrument`` and `qcodes.parameters.InstrumentRefParameter` find, inside a driver, the
    instruments of other servers.
    """

    def __contains__(self, name: object) -> bool:
        return self._known(name) is not None or self._find(name) is not None

    def __getitem__(self, name: str) -> Instrument:
        found: Instrument | None = self._known(name) or self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def _known(self, name: object) -> Any:
        """Return the instrument of that name in this registry, but for a proxy of one that is not there any more."""
        found: Any = self.get(name)  # type: ignore[call-overload]
        if not issubclass(type(found), RemoteInstrument):
            return found
        try:
            return found if name in found._link.session.request([Op.INSTRUMENTS, ""])[1] else None
        except InstrumentServerError:
            return None

    def _find(self, name: object) -> Any:
        """Return the instrument of that name on the one server that has it, None if it is none or several."""
        found = []
        for session, was_open in _others():
            try:
                if name in session.request([Op.INSTRUMENTS, ""])[1]:
                    found.append(find_proxy(Address(session.address, str(name))))
                elif not was_open:
                    # A server that nobody uses may end, although it was asked.
                    session.close()
            except InstrumentServerError:
                continue
        return found[0] if len(found) == 1 else None


def waits_elsewhere() -> list[list[Any]]:
    """Return the calls that wait for instruments of the other servers of this user."""
    found: list[list[Any]] = []
    for session, was_open in _others():
        try:
            with time_limit(_ANSWER_SECONDS):
                found += session.request([Op.WAITS, ""])[1]
            if not was_open:
                session.close()
        except InstrumentServerError:
            continue
    return found


def is_used_elsewhere(addresses: list[str], asked: list[str]) -> bool:
    """Return whether one of the servers at some addresses is used; one that does not answer is not.

    Args:
        addresses: Of servers.
        asked: Addresses of those whose own use does not count.
    """
    for address in addresses:
        try:
            with time_limit(_ANSWER_SECONDS):
                if open_session(address).request([Op.IS_USED, "", asked])[1]:
                    return True
        except InstrumentServerError:
            continue
    return False


def _others() -> Iterator[tuple[Session, bool]]:
    """Yield the sessions with all other servers, and whether there are connections with them already."""
    for record in Directory.default().records():
        if record.pid != os.getpid():
            session = open_session(record.address)
            yield session, session.is_open
