"""What an instrument does when it is used: read, set, called, closed."""

from __future__ import annotations

from typing import Any

from conformance.observing import claims
from conformance.plain import has_raised, outcome
from conformance.subject import Looks, Subject, is_one_of
from qcodes.instrument import Instrument
from qcodes.parameters import Parameter, ParameterBase

__all__ = [
    "look_at_caches",
    "look_at_calls",
    "look_at_closing",
    "look_at_functions",
    "look_at_multi_channels",
    "look_at_readings",
    "look_at_settings",
    "look_at_sweeps",
]

_VALUES = ("no such value", -1e300, float("nan"), None, True, 7, 1 + 1j, [1], {"a": 1})
"""Values of every type; most parameters refuse most of them."""
_MOST_REFUSED = 2


def look_at_caches(subject: Subject) -> Looks:
    """See what is known of every value; what was never read is read by `get_latest`."""
    for path, parameter in subject.answering():
        shown = subject.shown(parameter.short_name)
        cache, latest = parameter.cache, parameter.get_latest
        yield f"{path}.cache.valid", outcome(lambda c=cache: c.valid)
        yield f"{path}.cache.max_val_age", outcome(lambda c=cache: c.max_val_age)
        yield f"{path}.cache.get(False)", outcome(lambda c=cache: c.get(False), shown)
        yield f"{path}.cache.raw_value", outcome(lambda c=cache: c.raw_value, shown)
        yield f"{path}.cache.timestamp", outcome(lambda c=cache: c.timestamp)
        yield f"{path}.get_latest.get_timestamp()", outcome(latest.get_timestamp)
        yield f"{path}.get_latest.get_raw_value()", outcome(latest.get_raw_value, shown)
        yield f"{path}.get_latest()", outcome(latest, shown)


def look_at_readings(subject: Subject) -> Looks:
    """Read every parameter."""
    for path, parameter in subject.answering():
        shown = subject.shown(parameter.short_name)
        first = outcome(lambda p=parameter: p.get(), shown)
        yield f"{path}.get()", first
        if not has_raised(first):
            yield f"{path}()", outcome(parameter, shown)
        yield f"{path}.get('one', two=2)", outcome(lambda p=parameter: p.get("one", two=2), shown)
    yield from look_at_caches(subject)


def look_at_settings(subject: Subject) -> Looks:
    """Set every parameter to what it refuses, and to what it is."""
    for path, parameter in subject.answering():
        shown = subject.shown(parameter.short_name)
        refused = []
        for value in _VALUES:
            found = outcome(lambda p=parameter, v=value: p.validate(v))
            yield f"{path}.validate({value!r})", found
            if has_raised(found):
                refused.append(value)
        before = outcome(parameter.get_latest, shown)
        for value in refused[:_MOST_REFUSED] if parameter.settable else _VALUES[:1]:
            yield f"{path}.set({value!r})", outcome(lambda p=parameter, v=value: p.set(v))
            if value in refused[:1]:
                yield f"{path}({value!r})", outcome(lambda p=parameter, v=value: p(v))
        yield f"{path} is as it was", before == outcome(parameter.get_latest, shown)
        if parameter.settable and not is_one_of(parameter.short_name, subject.case.unset):
            yield from _set_back(path, parameter, shown)


def _set_back(path: str, parameter: ParameterBase, shown: Any) -> Looks:
    try:
        known = parameter.get() if parameter.gettable else parameter.get_latest()
    except Exception:  # The readings show what it is.
        return
    yield f"{path}.set(what it is)", outcome(lambda: parameter.set(known))
    yield f"{path}.get_latest() then", outcome(parameter.get_latest, shown)
    yield f"{path}.set(what it is, one=1)", outcome(lambda: parameter.set(known, one=1))
    yield f"{path}.set_to(what it is)", outcome(lambda: _set_to(parameter, known), shown)
    yield f"{path}.restore_at_exit()", outcome(lambda: _restored(parameter), shown)


def _set_to(parameter: ParameterBase, value: Any) -> Any:
    with parameter.set_to(value):
        return parameter.get_latest()


def _restored(parameter: ParameterBase) -> Any:
    with parameter.restore_at_exit():
        pass
    return parameter.get_latest()


def look_at_sweeps(subject: Subject) -> Looks:
    """See what values a sweep of every parameter would have."""
    for path, parameter in subject.parameters():
        if isinstance(parameter, Parameter):
            yield f"{path}.sweep(0, 1, num=3)", outcome(lambda p=parameter: list(p.sweep(0, 1, num=3)))
            yield f"{path}.sweep(0, 1, 0.5)", outcome(lambda p=parameter: list(p.sweep(0, 1, 0.5)))
            yield f"{path}[0:2:1]", outcome(lambda p=parameter: list(p[0:2:1]))


def look_at_functions(subject: Subject) -> Looks:
    """Call every QCoDeS function, with right and wrong arguments."""
    for path, function in subject.functions():
        for name in ("name", "full_name", "__doc__"):
            yield f"{path}.{name}", getattr(function, name)
        yield f"{path} repr", outcome(lambda f=function: [repr(f), str(f)])
        yield f"{path} snapshot", outcome(function.snapshot)
        for arguments in ((), (1,), ("no such value",), (None,), (1, 2), tuple(range(99))):
            yield f"{path}{arguments}", outcome(lambda f=function, a=arguments: f(*a))
            yield f"{path}.call{arguments}", outcome(lambda f=function, a=arguments: f.call(*a))
            yield f"{path}.validate{arguments}", outcome(lambda f=function, a=arguments: f.validate(*a))


def look_at_multi_channels(subject: Subject) -> Looks:
    """Read and set every parameter of all channels of a list, and of its first two, at once."""
    for path, found in subject.channel_lists():
        for name, first in found[0].parameters.items() if found else ():
            if is_one_of(name, subject.case.silent):
                continue
            for text, index in ((path, slice(None)), (f"{path}[:2]", slice(2))):
                try:
                    multi = getattr(found[index], name)
                except (NotImplementedError, AttributeError) as error:
                    # QCoDeS has neither several values of `MultiParameter` nor slices of lists that load themselves.
                    yield f"{text}.{name}", str(error)
                    continue
                yield from _look_at_multi_channel(subject, f"{text}.{name}", multi, first)


def _look_at_multi_channel(subject: Subject, path: str, multi: Any, first: ParameterBase) -> Looks:
    shown = subject.shown(first.short_name)
    for name in ("name", "full_name", "names", "full_names", "labels", "units", "shapes", "setpoints"):
        yield f"{path}.{name}", outcome(lambda n=name: getattr(multi, n))
    yield f"{path} classes", claims(multi)
    yield f"{path} str", str(multi)
    yield f"{path} snapshot", outcome(lambda: sorted(multi.snapshot()))
    yield f"{path}()", outcome(multi, shown)
    if first.vals is not None:
        yield f"{path} set", outcome(lambda: multi.set("no such value"))
        yield f"{path} set too many", outcome(lambda: multi.set(["no such value"] * 99))
    if first.settable and first.gettable and not is_one_of(first.short_name, subject.case.unset):
        yield f"{path} set back", outcome(lambda: multi.set(first.get()))
        yield f"{path} set each", outcome(lambda: multi.set(multi.get()))
    yield f"{path}.get_latest()", outcome(multi.get_latest, shown)


def look_at_calls(subject: Subject) -> Looks:
    """Call the methods that the case names, and ask what it asks."""
    one = subject.instrument
    for path, *arguments in subject.case.calls:
        yield f"{path}{tuple(arguments)}", outcome(lambda p=path, a=arguments: _at(one, p)(*a))
    for text in subject.case.asks:
        yield f"ask({text!r})", outcome(lambda t=text: one.ask(t))
        yield f"write({text!r})", outcome(lambda t=text: one.write(t))
    for text in subject.case.asks[:1]:
        yield f"ask_raw({text!r})", outcome(lambda t=text: one.ask_raw(t))
        yield f"write_raw({text!r})", outcome(lambda t=text: one.write_raw(t))
    yield "load_metadata()", outcome(lambda: _with_metadata(one))


def _with_metadata(one: Instrument) -> Any:
    one.load_metadata({"sample": {"name": "A1"}})
    one.metadata["wafer"] = 7
    one.load_metadata({"sample": {"cooled": True}})
    return [one.metadata, one.snapshot(update=False)["metadata"]]


def _at(one: Instrument, path: str) -> Any:
    thing: Any = one
    for part in path.split("."):
        thing = getattr(thing, part)
    return thing


def look_at_closing(subject: Subject) -> Looks:
    """Close the instrument, and see what is left."""
    one, name, cls = subject.instrument, subject.instrument.name, subject.case.driver
    yield "close", outcome(one.close)
    yield "close again", outcome(one.close)
    yield "is_valid", outcome(lambda: Instrument.is_valid(one))
    yield "exist", outcome(lambda: Instrument.exist(name))
    yield "find_instrument", outcome(lambda: Instrument.find_instrument(name))
    yield "instances", outcome(lambda: one in cls.instances())
    yield "name", outcome(lambda: [one.short_name, repr(one), str(one)])
    for gone in ("IDN", "parameters", "snapshot", "nothing"):
        yield gone, outcome(lambda n=gone: callable(getattr(one, n)))
