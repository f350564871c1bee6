"""QCoDeS's registry of instruments, as a server process has it: it knows the whole lab."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakValueDictionary

from qcodes.instrument import Instrument

from instrumentserver.client.registry import find_proxy, open_session
from instrumentserver.directory import Directory
from instrumentserver.errors import InstrumentServerError
from instrumentserver.transport.address import Address
from instrumentserver.wire.messages import Op

__all__ = ["LabInstruments"]


class LabInstruments(WeakValueDictionary[str, Instrument]):
    """Instruments by name; one that is not in this process is looked for on the other servers.

    With it QCoDeS's ``find_instrument`` and `qcodes.parameters.InstrumentRefParameter` find, inside a driver, the
    instruments of other servers.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._find(name) is not None

    def __getitem__(self, name: str) -> Instrument:
        try:
            return super().__getitem__(name)
        except KeyError:
            found: Instrument | None = self._find(name)
            if found is None:
                raise
            return found

    def _find(self, name: object) -> Any:
        """Return the instrument of that name on the one server that has it, None if it is none or several."""
        found = []
        for record in Directory.default().records():
            if record.pid == os.getpid():
                continue
            session = open_session(record.address)
            was_open = session.is_open
            try:
                if name in session.request([Op.INSTRUMENTS, ""])[1]:
                    found.append(find_proxy(Address(record.address, str(name))))
                elif not was_open:
                    # A server that nobody uses may end, although it was asked.
                    session.close()
            except InstrumentServerError:
                continue
        return found[0] if len(found) == 1 else None
