"""A dict of the server, in the client's hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["LiveDict"]


class LiveDict(dict[Any, Any]):
    """A copy of a dict that is kept by the server; each change of the copy is made there, too.

    Changes of what is inside, such as a list that is a value, stay here.

    Args:
        content: What the server has.
        call: Calls a method of the server's dict.
    """

    def __init__(self, content: Mapping[Any, Any], call: Callable[..., Any]) -> None:
        super().__init__(content)
        self._call = call

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call("__setitem__", key, value)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self._call("__delitem__", key)
        super().pop(key, None)

    def clear(self) -> None:
        """Remove everything."""
        self._call("clear")
        super().clear()

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove a key and return its value, or the default that is given."""
        value = self._call("pop", key, *default)
        super().pop(key, None)
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove the latest item and return it."""
        key, value = self._call("popitem")
        super().pop(key, None)
        return key, value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, which is set to the default if it is not there."""
        value = self._call("setdefault", key, default)
        super().__setitem__(key, value)
        return value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over the items of other dicts."""
        changed = dict(*args, **kwargs)
        self._call("update", changed)
        super().update(changed)

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
