"""Special methods that a driver's class defines, such as ``__len__``: Python looks for them in the class of a proxy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.schema import SPECIAL_METHODS
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import Op

__all__ = ["on_new_class", "with_special_methods"]

on_new_class: Final[list[Callable[[type], None]]] = []
"""Called with every class that is made."""


def with_special_methods(base: type, names: tuple[str, ...]) -> type:
    """Return a class of proxies, of the same name, with special methods that lead to the server.

    Args:
        base: The class of proxies.
        names: The methods that the driver's class defines.
    """
    wanted = tuple(name for name in names if name in SPECIAL_METHODS)
    return _made(base, wanted) if wanted else base


@functools.cache
def _made(base: type, names: tuple[str, ...]) -> type:
    methods = {name: _MADE_BY_HAND.get(name) or _forward(name) for name in names}
    doc = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    cls = type(base)(base.__name__, (base,), {**doc, **methods})
    for hear in on_new_class:
        hear(cls)
    return cls


def _forward(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._link.call(self._path, name, args, kwargs)

    method.__name__ = name
    return method


def _enter(self: Any) -> Any:
    is_itself, value = self._link.request(Op.ENTER, self._path)
    return self if is_itself else self._link.stand_for(value)


def _exit(self: Any, kind: object, error: BaseException | None, traceback: object) -> bool:
    failure = None if error is None else dump_failure(error, "the client")
    return bool(self._link.request(Op.EXIT, self._path, failure))


_MADE_BY_HAND: Final = {"__enter__": _enter, "__exit__": _exit}
