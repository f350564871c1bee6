"""Looking at a local instrument, and then at one of the same name and arguments on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from conformance import acting, observing
from conformance.cases import Base, Case, find_class
from conformance.subject import Looks, Subject
from qcodes.instrument import Instrument

from instrumentserver import Server

__all__ = ["ASPECTS", "Look", "Make", "Seen", "differences", "look_at"]

Seen = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""By aspect, what was seen of the local instrument and of the remote one."""

Make = Callable[..., Any]
"""Makes an instrument of a class, with a name and what else the constructor gets."""

Look = Callable[[Subject], Looks]
"""Looks at one aspect of an instrument."""

ASPECTS: Final[Mapping[str, Look]] = {
    "names": observing.look_at_names,
    "registry": observing.look_at_registry,
    "parameters": observing.look_at_parameters,
    "caches": acting.look_at_caches,
    "attributes": observing.look_at_attributes,
    "methods": observing.look_at_methods,
    "channels": observing.look_at_channels,
    "readings": acting.look_at_readings,
    "snapshots": observing.look_at_snapshots,
    "print-outs": observing.look_at_print_outs,
    "multi-channels": acting.look_at_multi_channels,
    "settings": acting.look_at_settings,
    "sweeps": acting.look_at_sweeps,
    "functions": acting.look_at_functions,
    "calls": acting.look_at_calls,
    "closing": acting.look_at_closing,
}
"""What is looked at, in this order, for some change what others see."""

_MAY_HAVE_MORE: Final = ("attributes", "methods", "channels")
"""Aspects in which a proxy may have names of its own, such as `restart`."""

_TIMEOUT: Final = 0.05
"""Seconds that a simulation is waited for that does not answer; what answers does so at once."""


def look_at(case: Case, server: Server, aspects: Mapping[str, Look] = ASPECTS) -> Seen:
    """Return what is seen of a case's instrument made here, and then of one made on a server.

    They are never there at the same time: QCoDeS knows one instrument of a name in a process.
    """
    local = _look_from(case, lambda cls, *args, **kwargs: cls(*args, **kwargs), aspects)
    remote = _look_from(case, server.create, aspects)
    return {aspect: (local[aspect], remote[aspect]) for aspect in aspects}


def differences(aspect: str, local: Mapping[str, Any], remote: Mapping[str, Any]) -> list[str]:
    """Return what is not the same, one text each, with both sides."""
    names = local if aspect in _MAY_HAVE_MORE else {**local, **remote}
    return [
        f"{name}\n    here:  {local.get(name, '(not there)')}\n    there: {remote.get(name, '(not there)')}"
        for name in names
        if name not in local or name not in remote or local[name] != remote[name]
    ]


def _look_from(case: Case, make: Make, aspects: Mapping[str, Look]) -> dict[str, dict[str, Any]]:
    bases: dict[str, Instrument] = {}

    def resolved(argument: Any) -> Any:
        if isinstance(argument, list):
            return [resolved(item) for item in argument]
        if not isinstance(argument, Base):
            return argument
        if argument.name not in bases:
            bases[argument.name] = make(find_class(argument.cls), argument.name, **argument.kwargs)
        thing: Any = bases[argument.name]
        for part in argument.path.split(".") if argument.path else ():
            thing = getattr(thing, part)
        return thing

    try:
        args = [resolved(argument) for argument in case.args]
        kwargs = {name: resolved(argument) for name, argument in case.kwargs.items()}
        instrument = make(case.driver, case.name, *args, **kwargs)
        if "timeout" in instrument.parameters:
            instrument.timeout(_TIMEOUT)
        subject = Subject(case, instrument)
        return {aspect: dict(look(subject)) for aspect, look in aspects.items()}
    finally:
        Instrument.close_all()
