"""What never leaves a server by reference: what leads from an object into Python itself, or to the system."""

from __future__ import annotations

import ctypes
import functools
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, Final

from instrumentserver.errors import NotPortable

__all__ = ["check_code", "check_kind", "is_bare", "is_code"]

_INTO_PYTHON: Final = (
    *(types.ModuleType, types.FrameType, types.TracebackType, types.CodeType, types.CellType),
    *(types.GetSetDescriptorType, types.MemberDescriptorType),
    *(types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType),
    *(types.MethodWrapperType, types.CoroutineType),
    *(property, staticmethod, classmethod, functools.cached_property, super, weakref.ReferenceType),
)
_CLOSED_PACKAGES: Final = frozenset(
    (
        *("importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport", "pkgutil"),
        *("ctypes", "_ctypes", "cffi", "_cffi_backend", "code", "codeop", "pdb", "bdb", "gc"),
        *("operator", "_operator", "string", "_string", "logging", "asyncio", "uvloop", "runpy", "marshal"),
        *("pickle", "_pickle", "shelve", "dill", "cloudpickle", "pandas", "polars", "pyarrow", "xarray"),
    )
)
"""Whose objects load code, call the system, write files, or read what they are told to of other objects."""
_HARMLESS: Final = frozenset((ctypes.Structure, ctypes.Union, ctypes.Structure.__mro__[1]))
"""Classes of these packages below which SDKs make their own, with fields and nothing else."""
_MOST_CLASSES: Final = 4096
_CODE: Final = (type, functools.partial)
_BARE: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
    type(functools.lru_cache(min)),
)


def is_code(value: Any) -> bool:
    """Return whether something is a class, a function or a method."""
    cls: Any = type(value)
    return _is_of_code(cls)


def is_bare(value: Any) -> bool:
    """Return whether something can be called and has no attributes for clients: a function or a bound method."""
    cls: Any = type(value)
    return _is_of_functions(cls)


def check_kind(value: Any) -> None:
    """Make sure that something is not of a kind that leads out of objects into Python or the system.

    Raises:
        NotPortable: It is.
    """
    cls: Any = type(value)
    if not _leads_elsewhere(cls):
        return
    if issubclass(cls, _INTO_PYTHON):
        raise NotPortable(
            f"a {cls.__name__} cannot be given to a client: {_shown(value)} leads into Python itself; "
            f"have the method return what the client needs of it"
        )
    raise NotPortable(
        f"a {cls.__module__}.{cls.__qualname__} cannot be given to a client; "
        f"keep it under a name that begins with an underscore, and give methods that use it"
    )


# Asked for with every value that comes and goes, of a few classes.
@functools.lru_cache(_MOST_CLASSES)
def _is_of_functions(cls: type) -> bool:
    # As `inspect.isroutine` finds them, also those of other compilers.
    is_descriptor = hasattr(cls, "__get__") and not hasattr(cls, "__set__")
    is_callable = any("__call__" in vars(part) for part in cls.__mro__)
    return issubclass(cls, _BARE) or (is_callable and is_descriptor and not issubclass(cls, type))


@functools.lru_cache(_MOST_CLASSES)
def _is_of_code(cls: Any) -> bool:
    return issubclass(cls, _CODE) or _is_of_functions(cls)


@functools.lru_cache(_MOST_CLASSES)
def _leads_elsewhere(cls: type) -> bool:
    above = [part for part in cls.__mro__ if part not in _HARMLESS]
    is_closed = any(_package(part.__module__) in _CLOSED_PACKAGES for part in above)
    return issubclass(cls, _INTO_PYTHON) or is_closed


def check_code(value: Any, owns: Callable[[str | None], bool]) -> None:
    """Make sure that a class, function or method belongs to what is served.

    Args:
        value: A class, function or method; anything else passes.
        owns: Tells whether a module belongs to it.

    Raises:
        NotPortable: It belongs to another package.
    """
    check_kind(value)
    if isinstance(value, type):
        is_own = owns(value.__module__)
    elif isinstance(value, functools.partial):
        check_code(value.func, owns)
        return
    elif isinstance(value, types.MethodType):
        for part in (value.__self__, value.__func__):
            if isinstance(part, type | types.ModuleType | types.BuiltinFunctionType):
                check_code(part, owns)
        return
    elif isinstance(value, types.BuiltinFunctionType):
        is_own = _is_own_builtin(value, owns)
    elif is_bare(value):
        is_own = owns(getattr(value, "__module__", None)) or not _is_global(value)
    else:
        return
    if not is_own:
        raise NotPortable(
            f"{_shown(value)} belongs to {getattr(value, '__module__', None) or 'Python'}, not to what is served, "
            f"and cannot be given to a client; write a method that calls it"
        )


def _is_own_builtin(function: Any, owns: Callable[[str | None], bool]) -> bool:
    owner = getattr(function, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return owns(function.__module__)
    if isinstance(owner, type):
        return owns(owner.__module__)
    return not (isinstance(owner, str) and function.__name__ in ("format", "format_map"))


def _is_global(function: Any) -> bool:
    """Return whether a function is what a module has under its name, rather than made inside another one."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in str(getattr(function, "__qualname__", "")).split("."):
        if part == "<locals>":
            return False
        found = getattr(found, "__dict__", {}).get(part)
    return found is not None


def _package(module_name: Any) -> str:
    return str(module_name).partition(".")[0]


def _shown(value: Any) -> str:
    return str(
        getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or type(value).__name__
    )
