"""Nested attribute names."""

from __future__ import annotations

import ast
import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from drivers import Plain

from instrumentserver.errors import NotAllowed, UsageError
from instrumentserver.server.nested import be_strict, check_public, delete_nested, get_nested, set_nested


@pytest.fixture
def thing() -> SimpleNamespace:
    return SimpleNamespace(a=SimpleNamespace(b=[1, {"key": 2, -1: 3}]), c=4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("c", 4), ("a.b[0]", 1), ("a.b[1]['key']", 2), ('a.b[1]["key"]', 2), ("a.b[1][-1]", 3), ("a.b[-2]", 1)],
)
def test_names_and_indices_lead_there(thing: SimpleNamespace, name: str, value: int) -> None:
    assert get_nested(thing, name) == value


def test_set_and_delete(thing: SimpleNamespace) -> None:
    set_nested(thing, "a.b[1]['new']", 5)
    set_nested(thing, "a.d", 6)
    delete_nested(thing, "a.b[0]")
    delete_nested(thing, "c")
    assert vars(thing.a) == {"b": [{"key": 2, -1: 3, "new": 5}], "d": 6}
    assert not hasattr(thing, "c")


@pytest.mark.parametrize(
    "name", ["", "a[", "a b", "a()", "a[f()]", "a.b[x]", "1", "a+c", "__class__", "a.__dict__"]
)
def test_anything_else_is_refused(thing: SimpleNamespace, name: str) -> None:
    with pytest.raises(ValueError, match="not a nested attribute; write"):
        get_nested(thing, name)


def test_what_is_not_there_is_said_as_python_says_it(thing: SimpleNamespace) -> None:
    with pytest.raises(AttributeError):
        get_nested(thing, "a.x")
    with pytest.raises(KeyError):
        get_nested(thing, "a.b[1]['x']")
    with pytest.raises(IndexError):
        get_nested(thing, "a.b[7]")
    with pytest.raises(TypeError):
        set_nested(thing, "c[0]", 1)


class Container:
    """Has special methods, and a way in that is closed."""

    def __init__(self) -> None:
        self.items = {"a": 1}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: str) -> int:
        return self.items[key]

    def __repr__(self) -> str:
        return "<Container>"


@pytest.mark.parametrize(("name", "value"), [("__len__", 1), ("__repr__", "<Container>"), ("a.__len__", 1)])
def test_special_methods_that_drivers_define_may_be_named(name: str, value: object) -> None:
    container = Container()
    assert get_nested(SimpleNamespace(a=container) if name[0] == "a" else container, name)() == value


def test_items_may_be_got_and_deleted_by_name() -> None:
    container = Container()
    assert get_nested(container, "__getitem__")("a") == 1
    assert get_nested(container, "items['a']") == 1
    delete_nested(container, "items['a']")
    assert get_nested(container, "__len__")() == 0


@pytest.mark.parametrize(
    "name",
    [
        *(
            "__class__",
            "__dict__",
            "__init__",
            "__reduce__",
            "__getattribute__",
            "__globals__",
            "__subclasses__",
        ),
        *(
            "a.__class__",
            "ask.__func__.__globals__",
            "__len__.__self__",
            "__class__.__mro__[1]",
            "a[0].__dict__",
        ),
    ],
)
def test_what_leads_behind_an_object_stays_closed(name: str) -> None:
    thing = SimpleNamespace(a=[Container()], ask=Container().__len__)
    for use in (get_nested, lambda thing, name: set_nested(thing, name, 1), delete_nested):
        with pytest.raises(ValueError, match="not a nested attribute; write"):
            use(thing, name)


@pytest.fixture
def plain() -> Iterator[Plain]:
    plain = Plain("nested")
    yield plain
    plain.close()


def test_parts_of_an_instrument_come_before_its_attributes(plain: Plain) -> None:
    vars(plain)["x"] = 5
    assert get_nested(plain, "x") is plain.parameters["x"]
    assert get_nested(plain, "x.unit") == "V"
    assert get_nested(plain, "ch1.v.label") == "Voltage"
    assert get_nested(plain, "parameters['x'].unit") == "V"
    assert get_nested(plain, "outs[2].v") is plain.outs[2].v
    assert get_nested(plain, "outs.out2.v") is plain.outs[2].v
    set_nested(plain, "outs[2].v.unit", "kV")
    assert plain.outs[2].v.unit == "kV"


def test_private_names_lead_there(plain: Plain) -> None:
    set_nested(plain, "_x", 3)
    assert (get_nested(plain, "_x"), get_nested(plain, "ch1._v")) == (3, 0.0)
    assert get_nested(plain, "x.cache._max_val_age") is None
    delete_nested(plain, "_x")
    assert not hasattr(plain, "_x")


# From a network


@pytest.mark.parametrize(
    "name",
    ["_x", "a._x", "__class__", "a.__dict__", "a[0]._x", "a.gi_frame", "f_globals", "cr_code.x", "tb_frame"],
)
def test_what_is_not_public_is_not_named(name: str) -> None:
    with pytest.raises((NotAllowed, UsageError)):
        check_public(name)


@pytest.mark.parametrize(
    "name", ["", "x", "a.b.c", "table['_a'][0]", "f_max", "co_axial", "__len__", "a.__getitem__"]
)
def test_what_is_public_may_be_named(name: str) -> None:
    check_public(name)


def test_names_lead_into_nothing_of_pythons_own() -> None:
    class Driver:
        module = ast
        value = 5
        log = logging.getLogger("driver")

        def generate(self) -> Iterator[int]:
            yield 1

        function = staticmethod(len)

    driver: Any = Driver()
    driver.running = driver.generate()
    for name in (
        "module.parse",
        "generate.real",
        "function.real",
        "running.send",
        "log.manager",
        "log.handlers[0]",
    ):
        assert strictly(get_nested, driver, name) is NotAllowed
    assert strictly(set_nested, driver, "module.parse", 1) is NotAllowed
    assert strictly(delete_nested, driver, "log.name") is NotAllowed
    # They themselves may be called and read, and to local clients everything is open.
    assert strictly(get_nested, driver, "generate") is None
    assert get_nested(driver, "module.parse") is ast.parse


def strictly(function: Callable[..., Any], *arguments: Any) -> type[BaseException] | None:
    """Return of what class the error is that a function raises in a thread that works for a network."""
    raised: list[type[BaseException] | None] = [None]

    def run() -> None:
        be_strict()
        try:
            function(*arguments)
        except Exception as error:
            raised[0] = type(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0]
