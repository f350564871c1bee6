"""Instruments that talk while they work, and instruments made of others."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.instrument.delegate import DelegateInstrument

__all__ = ["ServedDelegate", "Talkative"]


class TalkativeChannel(InstrumentChannel):
    """A channel with a log."""

    def __init__(self, parent: Instrument, name: str) -> None:
        super().__init__(parent, name)
        self.add_parameter("level", get_cmd=self._read)

    def _read(self) -> float:
        self.log.info("reading the level")
        return 0.5


class Talkative(Instrument):
    """Logs on every level, also in the names of others."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.add_submodule("channel", TalkativeChannel(self, "channel"))
        self.add_parameter("value", get_cmd=self._read, set_cmd=self._write)

    def _read(self) -> float:
        self.log.debug("asking for %s", "the value")
        logging.getLogger("vendor.sdk").info("USB transfer of %d bytes", 64, extra={"endpoint": 2})
        return 1.0

    def _write(self, value: float) -> None:
        if value > 10:
            self.log.warning("%g is much", value)
        self.log.info("set to %g", value)

    def fail(self) -> None:
        """Log an error with its traceback, and raise another one."""
        try:
            raise OSError("no answer")
        except OSError as error:
            self.log.exception("the line is dead")
            raise RuntimeError("cannot measure") from error

    def warn(self) -> None:
        """Warn of something."""
        warnings.warn("the calibration is old", UserWarning, stacklevel=1)


class ServedDelegate(DelegateInstrument, Instrument):
    """A delegate instrument that may live on a server.

    Args:
        name: Name of the instrument.
        sources: The instruments that it delegates to, by name; a station cannot travel.
        kwargs: What `DelegateInstrument` takes.
    """

    def __init__(self, name: str, sources: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(name, SimpleNamespace(**sources), **kwargs)
