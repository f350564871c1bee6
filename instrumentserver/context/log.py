"""Loggers of PVs and circuits, each with a level of its own."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

__all__ = ["OwnLevel"]


class OwnLevel(logging.LoggerAdapter[logging.Logger]):
    """A logger that many share, for one of them: its level, once set, concerns that one alone.

    Args:
        logger: The shared logger. It passes on what this one wants whatever its own level.
        extra: What records of this one have beside the usual.
    """

    def __init__(self, logger: logging.Logger, extra: dict[str, Any]) -> None:
        super().__init__(logger, extra)
        self._level = logging.NOTSET

    @property
    def level(self) -> int:
        """The level of its own, `logging.NOTSET` if it has that of the shared logger."""
        return self._level

    def setLevel(self, level: int | str) -> None:
        """Want records from this level on, of this one alone; `logging.NOTSET` goes back to the shared level."""
        names = logging.getLevelNamesMapping()
        if isinstance(level, str) and level not in names:
            raise ValueError(f"{level!r} is no level; choose one of {', '.join(names)}")
        self._level = names[level] if isinstance(level, str) else level

    def getEffectiveLevel(self) -> int:
        """Return the level that counts."""
        return self._level or self.logger.getEffectiveLevel()

    def isEnabledFor(self, level: int) -> bool:
        """Return whether records of this level are wanted."""
        if not self._level:
            return self.logger.isEnabledFor(level)
        return level >= self._level and self.logger.manager.disable < level

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, past the level of the shared logger."""
        if self.isEnabledFor(level):
            msg, kwargs = self.process(msg, kwargs)  # type: ignore[assignment]  # any mapping will do
            # This method itself is not where the record comes from.
            self.logger._log(level, msg, args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return message and arguments with what records of this one have beside the usual."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs
