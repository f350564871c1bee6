"""What an instrument shows without being changed: names, classes, attributes, documentation, snapshots."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from itertools import chain
from operator import add
from typing import Any

from conformance.plain import class_name, has_raised, masked, outcome, plain
from conformance.subject import Looks, Subject
from qcodes.instrument import (
    ChannelList,
    ChannelTuple,
    Instrument,
    InstrumentBase,
    InstrumentChannel,
    InstrumentModule,
)
from qcodes.parameters import (
    ArrayParameter,
    DelegateParameter,
    GroupParameter,
    MultiParameter,
    Parameter,
    ParameterBase,
    ParameterWithSetpoints,
)

__all__ = [
    "claims",
    "look_at_attributes",
    "look_at_channels",
    "look_at_methods",
    "look_at_names",
    "look_at_parameters",
    "look_at_print_outs",
    "look_at_registry",
    "look_at_snapshots",
]

_OF_COMMANDS = ("get", "set", "get_raw", "set_raw", "get_latest", "cache")
"""Attributes of parameters that QCoDeS makes of whatever the driver gave it."""
_RANDOM = ("raw_value", "t0")
"""Attributes of parameters with random values that are random, too."""
_KINDS = (
    *(Parameter, ArrayParameter, MultiParameter, ParameterWithSetpoints, DelegateParameter, GroupParameter),
    *(
        ParameterBase,
        Instrument,
        InstrumentBase,
        InstrumentModule,
        InstrumentChannel,
        ChannelTuple,
        ChannelList,
    ),
)
"""Classes that QCoDeS tells what it has by."""
_OF_PROXIES = ("close", "snapshot", "snapshot_base", "log", "visa_log", "visa_handle", "resource_manager")
"""What a proxy has of its own, in words of its own."""


def look_at_names(subject: Subject) -> Looks:
    """See how every module is called, what it says it is, and what is found below it by which names."""
    for path, module in subject.modules():
        for name in ("name", "full_name", "short_name", "name_parts", "label", "metadata", "__doc__"):
            yield f"{path}{name}", plain(getattr(module, name))
        for name in ("parent", "root_instrument", "ancestors"):
            yield f"{path}{name}", plain(getattr(module, name))
        for name in ("parameters", "functions", "submodules", "instrument_modules"):
            yield f"{path}{name}", list(getattr(module, name))
        yield f"{path}repr", masked(repr(module))
        yield f"{path}str", masked(str(module))
        yield f"{path}classes", claims(module)
        for name, found in {**module.functions, **module.submodules, **module.parameters}.items():
            yield f"{path}{name} by attribute", outcome(lambda m=module, n=name, f=found: getattr(m, n) is f)
            yield f"{path}{name} by full name", outcome(lambda m=module, n=name: m.get_component(n))
        for name in [*module.functions, *module.parameters]:
            yield f"{path}{name} by index", outcome(lambda m=module, n=name: m[n])
        for name in ("nothing", "_nothing"):
            yield f"{path}{name}", outcome(lambda m=module, n=name: getattr(m, n))
        yield f"{path}['nothing']", outcome(lambda m=module: m["nothing"])
        yield f"{path}get_component('nothing')", outcome(lambda m=module: m.get_component("nothing"))


def look_at_registry(subject: Subject) -> Looks:
    """See how QCoDeS finds the instrument."""
    one = subject.instrument
    cls = subject.case.driver
    yield "find_instrument", outcome(lambda: Instrument.find_instrument(one.name) is one)
    yield "find_instrument by class", outcome(lambda: Instrument.find_instrument(one.name, cls) is one)
    # The error's text names the type, which is the one thing that a proxy does not share.
    yield (
        "find_instrument of another class",
        has_raised(outcome(lambda: Instrument.find_instrument(one.name, int))),
    )
    yield "exist", outcome(lambda: Instrument.exist(one.name, cls))
    yield "is_valid", outcome(lambda: Instrument.is_valid(one))
    yield "instances", outcome(lambda: [cls.instances() == [one], one.instances() == [one]])
    yield "isinstance", [isinstance(one, cls), isinstance(one, Instrument), isinstance(one, int)]


def look_at_attributes(subject: Subject) -> Looks:
    """See every public attribute of every module and parameter."""
    parameters = ((f"{path}.", found) for path, found in subject.parameters())
    for path, thing in chain(subject.modules(), parameters):
        for name in dir(thing):
            if name.startswith("_") or (name in _RANDOM and subject.is_random(thing.short_name)):
                continue
            yield f"{path}{name}", outcome(lambda t=thing, n=name: getattr(t, n))


def look_at_methods(subject: Subject) -> Looks:
    """See the signature and the documentation of every public method, once for each class."""
    parameters = ((f"{path}.", found) for path, found in subject.parameters())
    looked_at: set[type] = set()
    for path, thing in chain(subject.modules(), parameters):
        cls = thing.__class__
        if cls in looked_at:
            continue
        looked_at.add(cls)
        for name in dir(cls):
            of_command = name in _OF_COMMANDS and isinstance(thing, ParameterBase)
            if name.startswith("_") or name in _OF_PROXIES or of_command or not _is_method(cls, name):
                continue
            method = getattr(thing, name)
            if _is_of_qcodes(cls, name):
                # How QCoDeS words and annotates its own methods is not part of what they do.
                yield f"{path}{name} arguments", outcome(lambda m=method: _arguments(m))
            else:
                yield f"{path}{name} signature", outcome(lambda m=method: str(inspect.signature(m)), masked)
                yield f"{path}{name} doc", inspect.getdoc(method)


def _is_method(cls: type, name: str) -> bool:
    return inspect.isroutine(inspect.getattr_static(cls, name))


def _is_of_qcodes(cls: type, name: str) -> bool:
    """Return whether a method is one of QCoDeS's base classes, which the driver left as it is."""
    definer = next(part for part in cls.__mro__ if name in vars(part))
    return definer.__module__.startswith(("qcodes.instrument.", "qcodes.parameters.", "qcodes.metadatable."))


def _arguments(method: Callable[..., Any]) -> list[str]:
    """Return the arguments of a method with their defaults, without annotations."""
    parameters = inspect.signature(method).parameters.values()
    return [str(parameter.replace(annotation=parameter.empty)) for parameter in parameters]


def look_at_parameters(subject: Subject) -> Looks:
    """See what every parameter says it is; its attributes are looked at with all others."""
    for path, parameter in subject.parameters():
        yield f"{path} classes", claims(parameter)
        yield f"{path} repr", masked(repr(parameter))
        yield f"{path} str", str(parameter)
        yield f"{path} doc", masked(str(parameter.__doc__))
        yield f"{path} param_spec", outcome(lambda p=parameter: repr(p.param_spec))
        yield f"{path} snapshot_base", outcome(lambda p=parameter: sorted(p.snapshot_base(update=False)))


def look_at_snapshots(subject: Subject) -> Looks:
    """See snapshots of the whole and of every part, with and without reading the hardware."""
    one = subject.instrument
    for update in (False, None, True):
        yield from _flat(subject, f"snapshot({update})", outcome(lambda u=update: one.snapshot(u), dict))
        yield f"snapshot_base({update})", outcome(lambda u=update: sorted(one.snapshot_base(u)))
    yield from _flat(subject, "snapshot()", outcome(one.snapshot, dict))
    for path, part in chain(subject.modules(), subject.channel_lists(), subject.parameters()):
        taken = outcome(lambda p=part: p.snapshot(update=False), dict)
        yield from _flat(subject, f"{path} snapshot(False)", taken, getattr(part, "short_name", ""))


def _flat(subject: Subject, path: str, taken: Any, name: str = "") -> Looks:
    """Yield the leaves of a snapshot; the value of what is called ``name`` as its kind only if that is random."""
    if isinstance(taken, Mapping):
        yield f"{path} keys", sorted(taken) if "__class__" in taken else list(taken)
        for key, value in taken.items():
            below = key if path.endswith(".parameters") else name
            if key in ("value", "raw_value"):
                yield f"{path}.{key}", subject.shown(name)(value)
            else:
                yield from _flat(subject, f"{path}.{key}", value, below)
    else:
        yield path, plain(taken)


def look_at_print_outs(subject: Subject) -> Looks:
    """See what the instrument prints about itself."""
    one = subject.instrument
    with redirect_stdout(StringIO()) as printed:
        one.print_readable_snapshot()
    lines = printed.getvalue().splitlines()
    yield "print_readable_snapshot()", [line for line in lines if not subject.is_random(line.split(" ")[0])]
    yield "connect_message()", outcome(one.connect_message)
    yield "connect_message('timeout', 0)", outcome(lambda: one.connect_message("timeout", 0))
    yield "get_idn()", outcome(one.get_idn)


def look_at_channels(subject: Subject) -> Looks:
    """See every channel list as a sequence and by the names of its channels."""
    for path, found in subject.channel_lists():
        yield f"{path} classes", claims(found)
        yield f"{path} repr", masked(repr(found))
        yield f"{path} names", [found.short_name, found.full_name, found.name_parts, len(found)]
        yield f"{path} forth and back", [plain(list(found)), plain(list(reversed(found)))]
        for index in (0, -1, len(found), slice(0, 2), slice(None, None, -1), (0, 0), "0", 1.5):
            yield f"{path}[{index!r}]", outcome(lambda f=found, i=index: f[i])
        for channel in found:
            name = channel.short_name
            yield f"{path}.{name}", outcome(lambda f=found, n=name: getattr(f, n) is f.get_channel_by_name(n))
            yield f"{path} with {name}", [found.index(channel), found.count(channel), channel in found]
            yield f"{path} only {name}", outcome(lambda f=found, n=name: f.get_channels_by_name(n))
        yield f"{path} get_channel_by_name", outcome(lambda f=found: f.get_channel_by_name("nobody"))
        yield f"{path}.nothing", outcome(lambda f=found: f.nothing)
        yield f"{path} index", outcome(lambda f=found: f.index("nobody"))
        yield f"{path} in", "nobody" in found
        yield f"{path} twice", outcome(lambda f=found: f + f)
        yield f"{path} and a list", has_raised(outcome(lambda f=found: add(f, [1])))
        yield f"{path} dir", sorted(name for name in dir(found) if not name.startswith("_"))
        yield f"{path} validator", outcome(lambda f=found: [f.get_validator().validate(one) for one in f])
        yield f"{path} validator of others", outcome(lambda f=found: f.get_validator().validate("nobody"))


def claims(thing: Any) -> list[str]:
    """Return the classes that a thing says it is of, without those that make it remote."""
    names = [class_name(cls) for cls in thing.__class__.__mro__ if isinstance(thing, cls)]
    kinds = [f"is {kind.__name__}" for kind in _KINDS if isinstance(thing, kind)]
    return [*(name for name in names if not name.startswith("instrumentserver.client.")), *kinds]
