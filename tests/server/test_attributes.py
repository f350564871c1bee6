"""Attributes on the server: in which form they leave, and what a call that is under way keeps from them."""

from __future__ import annotations

import enum
import functools
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drivers import Gate, Handle, Plain, Trigger
from qcodes.validators import Numbers

from instrumentserver import Server, time_limit
from instrumentserver.errors import NotPortable
from instrumentserver.schema import ClassSchema, LoggerSchema, MethodSchema, ObjectSchema
from instrumentserver.server.attributes import AttributeOperations
from instrumentserver.server.observed import Version
from instrumentserver.wire.codec import Codec


class Text(str):
    """A text of a driver's own class."""


class Number(float):
    """A number of a driver's own class."""


class Whole(int):
    """A whole number of a driver's own class."""


class Colour(enum.Enum):
    """Travels as it is."""

    RED = 1


class Undecided:
    """Has no truth, and no way to read."""

    def __bool__(self) -> bool:
        raise ValueError("no truth")

    def __repr__(self) -> str:
        raise RuntimeError("no way to read")


class Caller:
    """Somebody who waits for nothing."""

    def __init__(self) -> None:
        self.waited_for: list[str] = []

    def busy_with(self, hosted: Any, operation: str, path: str) -> Any:
        """Keep what is done."""
        self.waited_for.append(path)
        return _Nothing()


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def is_portable(value: Any) -> bool:
    try:
        Codec().encode(value)
    except NotPortable:
        return False
    return True


@pytest.fixture
def plain() -> Iterator[Plain]:
    plain = Plain("here")
    yield plain
    plain.close()


@pytest.fixture
def operations(plain: Plain) -> AttributeOperations:
    def find(path: str) -> Any:
        thing = plain if path == "here" else plain.x
        return SimpleNamespace(thing=thing, hosted=SimpleNamespace(version=Version()))

    return AttributeOperations(find, is_portable)


def form(operations: AttributeOperations, plain: Plain, value: Any) -> Any:
    plain.held = value
    return operations.get(Caller(), "here", "held")[1]  # type: ignore[arg-type]


TRAVELLING = [None, True, 1, 2.5, "text", b"raw", [1, {"a": (2,)}], {3}, Colour.RED, np.float64(1.5), 1j]


@pytest.mark.parametrize("value", TRAVELLING, ids=repr)
def test_what_can_travel_leaves_as_it_is(operations: AttributeOperations, plain: Plain, value: Any) -> None:
    assert form(operations, plain, value) is value


@pytest.mark.parametrize("value", [Text("text"), Number(2.5), Whole(7)], ids=repr)
def test_heirs_of_simple_types_leave_as_those(
    operations: AttributeOperations, plain: Plain, value: Any
) -> None:
    left = form(operations, plain, value)
    assert (type(left), left) == (type(value).__mro__[1], value)


@pytest.mark.parametrize(
    "value", [Plain.add, lambda value: value, len, [].append, Handle().ask, functools.partial(len)], ids=type
)
def test_functions_leave_as_methods(
    operations: AttributeOperations, plain: Plain, value: Callable[..., Any]
) -> None:
    left = form(operations, plain, value)
    assert (type(left), left.name) == (MethodSchema, "held")


@pytest.mark.parametrize("value", [Handle(), Trigger(), Undecided(), object()], ids=type)
def test_objects_leave_as_what_they_look_like(
    operations: AttributeOperations, plain: Plain, value: Any
) -> None:
    left = form(operations, plain, value)
    assert type(left) is ObjectSchema
    assert left.classes[:1] == [f"{type(value).__module__}:{type(value).__qualname__}"][: len(left.classes)]
    assert "builtins:object" not in left.classes
    assert left.is_true is True
    assert len(left.shown) > 0


def test_an_object_that_counts_as_false_and_one_that_reads_long(
    operations: AttributeOperations, plain: Plain
) -> None:
    handle = Handle()
    handle.is_open = False
    assert form(operations, plain, handle).is_true is False
    left = form(operations, plain, SimpleNamespace(text="x" * 10_000))
    assert len(left.shown) == 500
    assert left.shown.startswith("namespace(text='xxx")
    assert "whose repr fails: RuntimeError" in form(operations, plain, Undecided()).shown


@pytest.mark.parametrize("value", [Numbers, Text, type("Made", (), {})], ids=lambda value: value.__name__)
def test_classes_leave_by_name(operations: AttributeOperations, plain: Plain, value: type) -> None:
    left = form(operations, plain, value)
    assert type(left) is ClassSchema
    assert left.name == f"{value.__module__}:{value.__qualname__}"
    assert left.otherwise.shown == repr(value)
    assert left.otherwise.classes == ["builtins:type"]


def test_loggers_of_instruments_leave_by_name(operations: AttributeOperations, plain: Plain) -> None:
    assert form(operations, plain, plain.log) == LoggerSchema(plain.log.logger.name)
    assert type(form(operations, plain, logging.getLogger("mine"))) is ObjectSchema


def test_a_form_can_travel(operations: AttributeOperations, plain: Plain) -> None:
    for value in (Handle(), Numbers, plain.log, Undecided(), lambda a, b=object: a):
        assert is_portable(form(operations, plain, value))


def test_what_qcodes_keeps_beside_a_value_waits_for_nothing(operations: AttributeOperations) -> None:
    caller = Caller()
    for name in ("label", "unit", "vals", "scale", "step", "metadata", "snapshot_exclude"):
        operations.get(caller, "here.x", name)  # type: ignore[arg-type]
    assert caller.waited_for == []
    operations.get(caller, "here", "label")  # type: ignore[arg-type]
    operations.set(caller, "here.x", "unit", "mV")  # type: ignore[arg-type]
    operations.set(caller, "here", "note_", 1)  # type: ignore[arg-type]
    operations.delete(caller, "here", "note_")  # type: ignore[arg-type]
    assert caller.waited_for == ["here.label", "here.x.unit", "here.note_", "here.note_"]


# Through a server


def test_labels_units_and_limits_do_not_wait_for_a_slow_call(server: Server, tmp_path: Path) -> None:
    gate = server.create(Gate, "gate", str(tmp_path))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(gate.wait)
        try:
            pause = Event()
            while not (tmp_path / "entered").exists():
                pause.wait(0.002)
            with time_limit(5):
                value = gate.value
                assert (value.label, value.unit, value.vals, value.scale) == ("value", "", None, None)
                assert (value.metadata, value.snapshot_exclude) == ({}, False)
                assert not job.done()
        finally:
            (tmp_path / "open").touch()
        assert job.result() == "done"


def test_properties_run_on_the_server_and_their_errors_arrive(server: Server) -> None:
    class Careful(Plain):
        @property
        def level(self) -> float:
            if self._x > 1:
                raise RuntimeError("too much")
            return self._x

        @level.setter
        def level(self, level: float) -> None:
            if level < 0:
                raise ValueError(f"{level} is negative")
            self._x = level

    careful = server.create(Careful, "careful")
    careful.level = 0.5
    assert (careful.level, careful.x()) == (0.5, 0.5)
    with pytest.raises(ValueError, match="-1 is negative"):
        careful.level = -1
    careful.level = 2
    with pytest.raises(RuntimeError, match="too much"):
        _ = careful.level
    with pytest.raises(AttributeError, match="doubled"):
        careful.doubled = 3
