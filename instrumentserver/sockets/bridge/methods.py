"""The methods that somebody lists for a socket."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from qcodes.instrument.instrument_base import InstrumentBase
from qcodes.parameters import Function, ParameterBase

from instrumentserver.client import RemoteInstrument
from instrumentserver.errors import UnknownName, UsageError
from instrumentserver.instrument import Instrument

from .targets import by_name, enumerated, module_at, parts_of, refresh, shown

__all__ = ["Methods", "find_methods", "method_names"]

Methods = Mapping[str, Callable[..., Any] | str] | Iterable[str]
"""Methods by the name by which clients call them, or their paths, which are the names then."""

_OF_ALL: Final = frozenset((*dir(Instrument), *dir(RemoteInstrument)))
"""What every instrument has, and nobody looks for."""


def find_methods(thing: Any, methods: Methods) -> dict[str, Callable[..., Any]]:
    """Return functions that take keyword arguments, by the name by which clients call them.

    A QCoDeS function with arguments takes them as one list, ``args``.

    Args:
        thing: An instrument, the proxy of a served object, or any object.
        methods: Functions, or paths such as ``'fire'`` and ``'ch1.fire'``.

    Raises:
        UsageError: One of them is unknown, private, special, a parameter or something of one, or no method.
    """
    found: dict[str, Callable[..., Any]] = {}
    for name, target in by_name(methods, "methods", _path_of):
        _check_public(name)
        if isinstance(target, str):
            _check_public(target)
            method = (
                _of_instrument(thing, target) if isinstance(thing, InstrumentBase) else _of(thing, target)
            )
        else:
            method = target
            _check_no_parameter(thing, name, method)
        found[name] = _as_called(name, method)
    return found


def method_names(thing: Any) -> list[str]:
    """Return the names of the public methods of something, of an instrument without those that every one has."""
    if isinstance(thing, InstrumentBase):
        parts = {*thing.parameters, *thing.submodules}
        names = [*thing.functions, *(name for name in dir(thing) if name not in _OF_ALL)]
        names = [name for name in dict.fromkeys(names) if name not in parts]
    else:
        names = dir(thing)
    return [name for name in names if not name.startswith("_") and _is_method(thing, name)]


def _path_of(target: Any) -> str:
    if isinstance(target, str):
        return target
    raise UsageError(
        f"{shown(target)} is no text; give paths such as 'fire', or a dict: {{'fire': laser.fire}}"
    )


def _check_public(path: str) -> None:
    """Raise UsageError if a part of a path is private or special."""
    for part in path.split("."):
        if not part or part.startswith("_"):
            raise UsageError(f"{path!r} is private or special, and not for clients; list what is public")


def _of_instrument(instrument: InstrumentBase, path: str) -> Any:
    """Return the method of an instrument, or of a part of it, that a path leads to."""
    *modules, name = path.split(".")
    for _ in range(2):
        module = module_at(instrument, modules)
        if module is not None:
            if name in module.parameters:
                raise UsageError(f"{path!r} is a parameter; list it in parameters=, not in methods=")
            if name in module.functions:
                return module.functions[name]
            method = getattr(module, name, None)
            if callable(method) and name not in module.submodules:
                return method
        # A proxy may not have noticed yet what was added.
        refresh(instrument)
    raise UnknownName(
        f"{instrument.name} has no method {path!r}; there is: {enumerated(method_names(instrument))}"
    )


def _of(thing: Any, path: str) -> Any:
    """Return the method of an object that is no instrument."""
    method = thing
    try:
        for name in path.split("."):
            method = getattr(method, name)
    except AttributeError:
        method = None
    if callable(method):
        return method
    raise UnknownName(f"{shown(thing)} has no method {path!r}; there is: {enumerated(method_names(thing))}")


def _check_no_parameter(thing: Any, name: str, method: Any) -> None:
    """Raise UsageError for a parameter, and for a method of one: they would get past the checks of parameters."""
    is_of_one = isinstance(method, ParameterBase) or isinstance(
        getattr(method, "__self__", None), ParameterBase
    )
    if not is_of_one and isinstance(thing, InstrumentBase):
        parameters = (each for _, module in parts_of(thing) for each in module.parameters.values())
        is_of_one = any(own is method for parameter in parameters for own in vars(parameter).values())
    if is_of_one:
        raise UsageError(
            f"{name!r} belongs to a parameter; list the parameter in parameters=, not in methods="
        )


def _as_called(name: str, method: Any) -> Callable[..., Any]:
    """Return a method as it is called for clients."""
    if not callable(method):
        raise UsageError(
            f"{name!r} stands for {shown(method)}, which is no method; give a function, or a path"
        )
    own_name = getattr(method, "__name__", "")
    if isinstance(own_name, str) and own_name.startswith("_"):
        raise UsageError(f"{name!r} stands for {own_name}, which is private or special, and not for clients")
    if isinstance(method, type):
        raise UsageError(f"{name!r} is a class; list a method")
    if inspect.iscoroutinefunction(method):
        raise UsageError(f"{name!r} is a coroutine function; list a method that returns its result")
    called: Callable[..., Any] = _function(method) if isinstance(method, Function) else method
    return called


def _function(function: Function) -> Callable[..., Any]:
    """Return a QCoDeS function as one that takes keyword arguments."""

    def call() -> Any:
        return function()

    def call_with(args: Any) -> Any:
        given = args if isinstance(args, list) else [args]
        function.validate(*given)
        return function(*given)

    return call_with if function._arg_count else call


def _is_method(thing: Any, name: str) -> bool:
    """Return whether something is a method, without asking for properties, which may take their time."""
    if isinstance(thing, InstrumentBase) and name in thing.functions:
        return True
    own = getattr(thing, "__dict__", {})
    return callable(own.get(name, getattr(type(thing), name, None)))
