"""What TimeTaggerRPC's clients expect of a module and of its objects, beyond what these have by themselves."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from .adapters import Adapter, schema_of
from .values import dump

__all__ = ["DATA_METHODS", "LIBRARY_METHODS"]


def _enum_definitions(self: Adapter) -> dict[str, tuple[str, tuple[tuple[str, Any], ...]]]:
    """Return the module's enums: for each the name of its class in `enum`, and the names and values of its members."""
    found = {}
    for name, value in schema_of(self._remote).constants.items():
        if isinstance(value, type) and issubclass(value, enum.Enum):
            base = next(cls.__name__ for cls in value.__mro__ if cls.__module__ == "enum")
            members = tuple((member.name, dump(member.value, str)) for member in value)
            if members:
                found[name] = (base, members)
    return found


def _discard(self: Adapter) -> None:
    """Have the server forget the object, as far as nobody else holds it."""
    self._table.forget(self._pyroId, "it was discarded")  # type: ignore[attr-defined]


LIBRARY_METHODS: Final[dict[str, Callable[..., Any]]] = {"enum_definitions": _enum_definitions}
"""Of the module itself."""
DATA_METHODS: Final[dict[str, dict[str, Callable[..., Any]]]] = {"getDataObject": {"discard": _discard}}
"""Of what a method returns, by the method's name."""
