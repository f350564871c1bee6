"""What classes keep, looked up without running any of their code."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from .forbidden import is_bare
from .own_names import top_package

__all__ = ["MISSING", "annotated", "classes_of", "find_static", "is_method", "may_have", "top_packages"]

MISSING: Final = object()
_OF_PYTHON: Final = frozenset(sys.stdlib_module_names) | {"builtins"}


def find_static(cls: type, name: str) -> Any:
    """Return what a class or one above it has under a name, as it is kept there, or `MISSING`."""
    for part in cls.__mro__:
        if name in vars(part):
            return vars(part)[name]
    return MISSING


def is_method(static: Any) -> bool:
    """Return whether objects get a bound method for what their class keeps."""
    if isinstance(static, staticmethod):
        return False
    return isinstance(static, classmethod) or (inspect.isroutine(static) and hasattr(type(static), "__get__"))


def may_have(thing: Any, name: str) -> bool:
    """Return whether an object has an attribute that its class does not keep, or takes care of it itself."""
    if name in getattr(thing, "__dict__", ()):
        return True
    cls = type(thing)
    if name in annotated(cls):
        return True
    return (
        find_static(cls, "__setattr__") is not object.__setattr__
        and find_static(cls, "__getattr__") is not MISSING
    )


def annotated(cls: type) -> list[str]:
    """Return the names that a class and those above it declare with a type."""
    declared = (vars(part).get("__annotations__") for part in cls.__mro__)
    return [name for names in declared if isinstance(names, dict) for name in names]


def top_packages(root: Any) -> frozenset[str]:
    """Return the top packages to which a served object, class or module belongs."""
    if isinstance(root, ModuleType):
        return frozenset((top_package(root.__name__),))
    cls: type = root if isinstance(root, type) else type(root)
    own = getattr(root, "__module__", None) if is_bare(root) else cls.__module__
    above = {top_package(part.__module__) for part in cls.__mro__}
    return frozenset((above - _OF_PYTHON) | {top_package(own or "")})


def classes_of(root: Any, tops: frozenset[str]) -> Iterator[type]:
    """Yield the classes of a root, and of the packages to which it belongs."""
    yield from root.__mro__ if isinstance(root, type) else type(root).__mro__
    for name, module in list(sys.modules.items()):
        if top_package(name) in tops and isinstance(module, ModuleType):
            yield from (value for value in list(vars(module).values()) if isinstance(value, type))
