"""A dict of the server, in the client's hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["LiveDict"]


class LiveDict(dict[Any, Any]):
    """A copy of a dict that is kept by the server; each change of the copy replaces the server's.

    Changes of what is inside, such as a list that is a value, stay here.

    Args:
        content: What the server has.
        replace: Has the server take a changed content.
    """

    def __init__(self, content: Mapping[Any, Any], replace: Callable[[dict[Any, Any]], None]) -> None:
        super().__init__(content)
        self._replace = replace

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._replace(dict(self))

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._replace(dict(self))

    def clear(self) -> None:
        """Remove everything."""
        super().clear()
        self._replace({})

    def pop(self, *args: Any) -> Any:
        """Remove a key and return its value, or the default that is given."""
        value = super().pop(*args)
        self._replace(dict(self))
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Remove the latest item and return it."""
        item = super().popitem()
        self._replace(dict(self))
        return item

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, which is set to the default if it is not there."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over the items of other dicts."""
        super().update(*args, **kwargs)
        self._replace(dict(self))

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
