"""The parameters that somebody names for a socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qcodes.instrument.instrument_base import InstrumentBase
from qcodes.parameters import ParameterBase

from instrumentserver.errors import UnknownName, UsageError

from ..constants import BAD_CHARS
from .targets import by_name, enumerated, module_at, parts_of, refresh, shown

__all__ = ["Parameters", "find_parameters", "parameter_paths"]

Parameters = Mapping[str, ParameterBase | str] | Iterable[ParameterBase | str]
"""Parameters by codename, or alone: then their paths in the instrument are the codenames."""


def find_parameters(instrument: Any, parameters: Parameters, *, to_set: bool) -> dict[str, ParameterBase]:
    """Return parameters of an instrument by codename.

    Args:
        instrument: A QCoDeS instrument or a part of one, local or remote.
        parameters: Objects, or paths such as ``'power'``, ``'ch1.v'`` and ``'channels.0.v'``.
        to_set: Whether they have to be settable; otherwise they have to be gettable.

    Raises:
        UsageError: One of them is unknown, belongs to another instrument, or is not of that kind; a codename is wrong.
            The message says what there is.
    """
    found: dict[str, ParameterBase] = {}
    for codename, target in by_name(parameters, "parameters", lambda target: _path_of(instrument, target)):
        _check_codename(codename)
        if not isinstance(instrument, InstrumentBase):
            raise UsageError(
                f"{shown(instrument)} is no QCoDeS instrument: it has methods, but no parameters"
            )
        parameter = _parameter(instrument, target)
        if not _is_of_kind(parameter, to_set):
            verb = "set" if to_set else "read"
            there_is = enumerated(parameter_paths(instrument, to_set=to_set))
            raise UsageError(f"{parameter} cannot be {verb}; what can be {verb}: {there_is}")
        found[codename] = parameter
    return found


def parameter_paths(instrument: InstrumentBase, *, to_set: bool) -> list[str]:
    """Return the paths of the parameters that can be set, or read, of an instrument and all its parts."""
    return [
        f"{path}{name}"
        for path, module in parts_of(instrument)
        for name, parameter in module.parameters.items()
        if _is_of_kind(parameter, to_set)
    ]


def _is_of_kind(parameter: ParameterBase, to_set: bool) -> bool:
    return parameter.settable if to_set else parameter.gettable


def _check_codename(codename: str) -> None:
    """Raise UsageError for a codename that a client could not ask for."""
    for character in BAD_CHARS:
        if character in codename:
            raise UsageError(f"The character '{character}' is not allowed in the codenames")
    if not codename.isascii():
        raise UsageError(
            f"the codename {codename!r} is not ASCII, and no client could ask for it; give another one"
        )


def _path_of(instrument: Any, target: Any) -> str:
    """Return the path of a parameter that was given without a codename."""
    if isinstance(target, str):
        return target
    _check_is_within(instrument, target)
    names = [target.short_name]
    for part in target.instrument.ancestors:
        if part is instrument:
            break
        names.append(part.short_name)
    return ".".join(reversed(names))


def _parameter(instrument: InstrumentBase, target: Any) -> ParameterBase:
    """Return the parameter that a path leads to, or the one that was given."""
    if not isinstance(target, str):
        _check_is_within(instrument, target)
        return target  # type: ignore[no-any-return]  # As it was just checked.
    *modules, name = target.split(".")
    for _ in range(2):
        module = module_at(instrument, modules)
        if module is not None and name in module.parameters:
            parameter: ParameterBase = module.parameters[name]
            return parameter
        # A proxy may not have noticed yet what was added.
        refresh(instrument)
    there_is = [f"{path}{name}" for path, module in parts_of(instrument) for name in module.parameters]
    raise UnknownName(f"{instrument.name} has no parameter {target!r}; there is: {enumerated(there_is)}")


def _check_is_within(instrument: Any, parameter: Any) -> None:
    """Raise UsageError for what is no parameter, and for one of another instrument."""
    if not isinstance(parameter, ParameterBase):
        raise UsageError(f"{shown(parameter)} is no parameter; give a QCoDeS parameter, or its path as text")
    above = parameter.instrument
    if above is None or not any(part is instrument for part in above.ancestors):
        raise UsageError(f"{parameter} is no parameter of {shown(instrument)}, but of {shown(above)}")
