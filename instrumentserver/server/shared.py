"""shared_kwargs: keyword arguments that a server holds once for all its instruments."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from instrumentserver.errors import UsageError

from .hosted import Hosted

__all__ = ["SharedArguments"]


class SharedArguments:
    """The shared keyword arguments of one server.

    A class names those that it takes in its attribute ``shared_kwargs``. The first instrument that
    brings one fixes it; every later one that names it gets the same object.

    Args:
        server_name: The server's name, for messages.
    """

    def __init__(self, server_name: str) -> None:
        self._server_name = server_name
        self._values: dict[str, Any] = {}
        self._beside: list[Hosted] = []
        self._lock = threading.RLock()

    def values(self) -> dict[str, Any]:
        """Return what is shared now."""
        return dict(self._values)

    def bring(self, brought: Mapping[str, Any], beside: Sequence[Hosted] = ()) -> dict[str, Any]:
        """Share what is not shared yet.

        Args:
            brought: Names and values.
            beside: Instruments of this server among the values.

        Returns:
            What was not shared before.

        Raises:
            UsageError: One is shared already and has another value; nothing is shared then.
        """
        with self._lock:
            for name, value in brought.items():
                if name in self._values and not _is_same(self._values[name], value):
                    raise UsageError(
                        f"server {self._server_name!r} already exists but with different shared_kwargs: "
                        f"it has {name}={self._values[name]!r}, not {value!r}; "
                        f"give the same value, leave it out, or use another server"
                    )
            new = {name: value for name, value in brought.items() if name not in self._values}
            self._values.update(new)
            if new:
                self._beside.extend(beside)
            return new

    @contextmanager
    def lent(
        self, cls: type, kwargs: Mapping[str, Any], beside: Sequence[Hosted]
    ) -> Iterator[tuple[dict[str, Any], list[Hosted]]]:
        """Yield the keyword arguments for a constructor of ``cls``, and the instruments among them.

        What the constructor brings stays shared only if the block ends without an error.
        """
        names = list(getattr(cls, "shared_kwargs", None) or ())
        if not names:
            yield dict(kwargs), list(beside)
            return
        with self._lock:
            # An empty value asks for what the server has, as in the tutorial's ``instruments=()``.
            brought = {name: kwargs[name] for name in names if name in kwargs and not _is_empty(kwargs[name])}
            new = self.bring(brought, beside)
            shared = {name: self._values[name] for name in names if name in self._values}
            try:
                yield {**kwargs, **shared}, [*beside, *self._beside] if shared else list(beside)
            except BaseException:
                for name in new:
                    del self._values[name]
                if new and beside:
                    del self._beside[-len(beside) :]
                raise


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple | dict | set | str) and not value)


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=False))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_is_same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    return bool(one == other)
