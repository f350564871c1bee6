"""Uses of instruments beside the plain ones: what users, tools and QCoDeS itself do to them now and then."""

from __future__ import annotations

import functools
import inspect
import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from conformance.behaving import Acting
from conformance.kinds import Kinds
from conformance.plain import outcome
from conformance.subject import Looks, Subject
from qcodes.parameters import (
    DelegateParameter,
    Parameter,
    ScaledParameter,
    SweepFixedValues,
    combine,
)
from qcodes.utils import NumpyJSONEncoder

__all__ = ["look_at_uses"]

_OF_PARAMETERS: Final[Mapping[str, Callable[[Kinds], Any]]] = {
    "get with an argument": lambda k: k.level.get(1),
    "get with a keyword": lambda k: k.level.get(x=1),
    "set by keyword": lambda k: k.level(value=1),
    "get_raw": lambda k: k.level.get_raw(),
    "set_raw": lambda k: k.level.set_raw(3),
    "set_raw that fails": lambda k: k.broken.set_raw(3),
    "get_raw of what is scaled": lambda k: k.scaled.get_raw(),
    "set_raw of what is manual": lambda k: (k.manual.set_raw(7), k.manual.get_latest())[1],
    "equality": lambda k: [k.level == k.level, k.level == k.rate, k.level != 3],
    "hash": lambda k: {k.level: 2}[k.level],
    "truth": lambda k: bool(k.level),
    "an index": lambda k: k.level[0],
    "an index that cannot be": lambda k: k.level["a"],
    "sweep without steps": lambda k: k.level.sweep(0, 1),
    "sweep of what is read-only": lambda k: k.readonly.sweep(0, 1, num=2),
    "sweep object": lambda k: [k.level.sweep(0, 1, num=2).parameter is k.level, len(k.level[0:3:1])],
    "sweep snapshot": lambda k: k.level.sweep(0, 1, num=2).snapshot()["parameter"]["name"],
    "fixed sweep": lambda k: list(SweepFixedValues(k.level, [1, 2])),
    "in a text": lambda k: f"{k.level} {k.level!s}",
    "local delegate": lambda k: DelegateParameter("d", source=k.level, scale=2)(),
    "local scaled": lambda k: ScaledParameter(k.level, gain=2)(),
    "local scaled's metadata": lambda k: ScaledParameter(k.level, gain=2).snapshot()["metadata"],
    "combined": lambda k: combine(k.level, k.rate, name="both").dimensionality,
    "an attribute of one's own": lambda k: (setattr(k.level, "note", 3), k.level.note)[1],
    "an attribute that is not there": lambda k: k.level.nothing,
    "a private attribute that is not there": lambda k: k.level._nothing,
    "private attributes": lambda k: [
        k.level._settable,
        k.level._gettable,
        k.level._label,
        k.level._snapshot_value,
    ],
    "private attributes of the cache": lambda k: [k.scaled.cache._value, k.scaled.cache._raw_value],
    "no label": lambda k: (setattr(k.level, "label", None), k.level.label)[1],
    "more in the snapshot": lambda k: (
        k.level._meta_attrs.append("inter_delay"),
        "inter_delay" in k.level.snapshot(),
    )[1],
    "dependencies": lambda k: [
        len(found) for found in (k.trace.depends_on, k.level.has_control_of, k.level.is_controlled_by)
    ],
    "unpack": lambda k: [(str(parameter), value) for parameter, value in k.level.unpack_self(3)],
    "unpack an array": lambda k: [
        (str(found), np.shape(value)) for found, value in k.trace.unpack_self(k.trace())
    ],
    "underlying instrument": lambda k: [
        found is k
        for found in (
            k.level.underlying_instrument,
            k.divided.underlying_instrument,
            k.delegate.root_instrument,
        )
    ],
    "callbacks": lambda k: [k.level.on_set_callback, Parameter.global_on_set_callback],
    "abstract": lambda k: k.level.abstract,
    "snapshot that skips": lambda k: (
        k.snapshot_base(True, ["level"])["parameters"]["level"]["value"],
        k.commands,
    ),
    "snapshot that is no such thing": lambda k: k.snapshot(update="nonsense") and 1,
    "snapshot as JSON": lambda k: sorted(
        json.loads(json.dumps(k.snapshot(update=False), cls=NumpyJSONEncoder))
    ),
    "validate_status": lambda k: k.validate_status(),
    "reference to nothing": lambda k: k.reference.get_instr(),
}
_OF_INSTRUMENTS: Final[Mapping[str, Callable[[Acting], Any]]] = {
    "a keyword that is not there": lambda a: a.add(1, c=3),
    "an argument that is missing": lambda a: a.ramp(),
    "an index that is not there": lambda a: a[0],
    "equality": lambda a: [a == a.itself(), a != a.front, a == 3],
    "hash": lambda a: {a: 1}[a],
    "truth": lambda a: bool(a),
    "in a text": lambda a: f"{a} {a.front} {a!r}",
    "class": lambda a: [a.__class__ is Acting, a.__class__.__name__, a.bays.__class__.__name__],
    "partial": lambda a: functools.partial(a.add, 1)(2),
    "map": lambda a: list(map(a.add, [1, 2], [3, 4])),
    "attrgetter": lambda a: operator.attrgetter("front.v.unit")(a),
    "callable": lambda a: [callable(a.fit), callable(a.x), callable(a), inspect.iscoroutinefunction(a.fit)],
    "delete a parameter's name": lambda a: delattr(a, "x"),
    "delete what is not there": lambda a: delattr(a, "nothing"),
    "hide a class attribute": lambda a: (setattr(a, "limit", 7), a.limit, delattr(a, "limit"), a.limit)[1::2],
    "delete a property": lambda a: delattr(a, "squared"),
    "set a property that cannot be set": lambda a: setattr(a, "failing", 3),
    "a name of one's own": lambda a: (setattr(a, "note", 3), a.note)[1],
    "a new parent": lambda a: setattr(a.front, "parent", 3),
    "a new name": lambda a: setattr(a, "name", "b"),
    "a new label": lambda a: (setattr(a, "label", 3), a.label)[1],
    "by name": lambda a: [a.get("x"), a.set("x", 2), a.call("query", 3), a["x"]],
    "by a name that is not there": lambda a: a.get("nope"),
    "call by a name that is not there": lambda a: a.call("nope"),
    "component": lambda a: a.get_component("bays_bay1_v"),
    "component of a channel": lambda a: a.get_component("bay1_v"),
    "component of a submodule": lambda a: a.get_component("front_v"),
    "short print-out": lambda a: a.print_readable_snapshot(update=True, max_chars=30),
    "print-out of channels": lambda a: a.bays.print_readable_snapshot(),
    "validate_status": lambda a: a.validate_status(verbose=True),
    "invalidate": lambda a: (a.invalidate_cache(), a.x.cache.valid, a.bays[0].v.cache.valid)[1:],
    "invalidate channels": lambda a: a.bays.invalidate_cache(),
    "change name_parts": lambda a: (a.name_parts.append("x"), a.name_parts)[1],
    "new metadata": lambda a: (setattr(a, "metadata", {"z": 1}), a.metadata)[1],
    "less metadata": lambda a: (operator.delitem(a.metadata, "z"), a.metadata, a.metadata == {})[1:],
    "more metadata": lambda a: (a.metadata.update(q=1), a.metadata["q"], len(a.metadata), list(a.metadata))[
        1:
    ],
    "functions": lambda a: [a.functions["say"]._args, a.functions["say"]._arg_count, a.reset.short_name],
    "attributes of functions": lambda a: a.functions["say"].get_attrs(),
    "a function that is not there": lambda a: a.functions["nope"],
    "channels twice": lambda a: a.bays + a.bays,
    "a plain attribute of channels": lambda a: a.bays.number,
    "a property of channels": lambda a: a.bays.halved,
    "multi_function": lambda a: a.bays.multi_function("bump")(1),
    "multi_function of nothing": lambda a: a.bays.multi_function("nope"),
    "multi_parameter": lambda a: a.bays.multi_parameter("v")(),
    "multi_parameter of nothing": lambda a: a.bays.multi_parameter("nope"),
    "channels by names": lambda a: a.bays.get_channels_by_name("bay0", "bay2"),
    "channels by no names": lambda a: a.bays.get_channels_by_name(),
    "set each channel": lambda a: (a.bays.v.set([1.0, 2.0, 3.0]), a.bays.v())[1],
    "set too few channels": lambda a: a.bays.v.set([1.0, 2.0]),
}


def look_at_uses(subject: Subject) -> Looks:
    """See what comes of every use."""
    uses: Mapping[str, Callable[[Any], Any]] = (
        _OF_PARAMETERS if subject.case.driver is Kinds else _OF_INSTRUMENTS
    )
    for name, use in uses.items():
        yield name, outcome(lambda u=use: u(subject.instrument))
