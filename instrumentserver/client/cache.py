"""The cache of a remote parameter, which is the server's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from instrumentserver.wire.messages import Op

from .link import Link

__all__ = ["RemoteCache"]


class RemoteCache:
    """What QCoDeS calls the cache of a parameter; kept by the server, the same for every client.

    Reading a valid value never waits for a call that is under way.

    Args:
        link: The instrument's link.
        path: The parameter's path.
    """

    def __init__(self, link: Link, path: str) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_path", path)

    def __getattr__(self, name: str) -> Any:
        """Return what the server's cache keeps under a private name, such as ``_raw_value``."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.request(Op.GET_ATTRIBUTE, self._path, f"cache.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.request(Op.SET_ATTRIBUTE, self._path, f"cache.{name}", value)

    @property
    def raw_value(self) -> Any:
        """The raw value of the parameter, None before the first get or set."""
        return self._link.request(Op.GET_ATTRIBUTE, self._path, "cache.raw_value")

    @property
    def timestamp(self) -> datetime | None:
        """When the value was read or set, None before the first get or set."""
        timestamp: datetime | None = self._state()[0]
        return timestamp

    @property
    def max_val_age(self) -> float | None:
        """Age at which the value is no longer trusted, seconds; None for any age."""
        age: float | None = self._state()[1]
        return age

    @property
    def valid(self) -> bool:
        """Whether the value can be trusted."""
        return bool(self._state()[2])

    def invalidate(self) -> None:
        """Have the next `get` read the hardware."""
        self._link.request(Op.CACHE_INVALIDATE, self._path)

    def set(self, value: Any) -> None:
        """Replace the value without telling the hardware."""
        self._link.request(Op.CACHE_SET, self._path, value)

    def get(self, get_if_invalid: bool = True) -> Any:
        """Return the value.

        Args:
            get_if_invalid: Whether to read the hardware if the value cannot be trusted.
        """
        return self._link.request(Op.CACHE_GET, self._path, get_if_invalid)

    def __call__(self) -> Any:
        """Return the value, read from the hardware if it cannot be trusted."""
        return self._link.request(Op.CACHE_GET, self._path, True)

    def set_from_raw_value(self, raw_value: Any) -> None:
        """Replace the value by the one that a raw value stands for, without telling the hardware."""
        self._link.request(Op.CALL, self._path, "cache._set_from_raw_value", [raw_value], {})

    _set_from_raw_value = set_from_raw_value

    def _update_with(self, *, value: Any, raw_value: Any, timestamp: datetime | None = None) -> None:
        arguments = {"value": value, "raw_value": raw_value, "timestamp": timestamp}
        self._link.request(Op.CALL, self._path, "cache._update_with", [], arguments)

    def _state(self) -> Any:
        return self._link.request(Op.CACHE_STATE, self._path)
