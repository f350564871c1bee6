"""The logger of a remote instrument, in this process."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from qcodes.logger.instrument_logger import InstrumentLoggerAdapter

__all__ = ["RemoteLogger"]


class RemoteLogger(InstrumentLoggerAdapter):
    """Logs in the name of a remote instrument, as its driver does on the server.

    Args:
        name: Name of the logger, the driver's.
        node: The proxy.
    """

    def __init__(self, name: str, node: Any) -> None:
        super().__init__(logging.getLogger(name), {"instrument": node})
        self._node = node

    def process(self, msg: str, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """Return the message with the instrument's name and class, and QCoDeS's extras for filters."""
        name, kind = self._node.full_name, self._node._schema.class_name
        extra = {**(kwargs.get("extra") or {}), "instrument_name": name, "instrument_type": kind}
        return f"[{name}({kind})] {msg}", {**kwargs, "extra": extra}

    def isEnabledFor(self, level: int) -> bool:
        """Return whether a record of that level is wanted; not while QCoDeS's constructor makes the proxy."""
        return self._node._is_built and super().isEnabledFor(level)
