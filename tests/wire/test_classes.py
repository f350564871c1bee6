from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from types import ModuleType

import pytest

from instrumentserver.wire.classes import (
    add_known_class,
    class_name,
    class_text,
    find_class,
    find_class_text,
)


class Outer:
    """A class with a class inside."""

    class Inner:
        """The class inside."""


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """Return a module that has been imported."""
    made = ModuleType("a_module_of_this_test")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def hold(module: ModuleType, cls: type) -> type:
    cls.__module__ = module.__name__
    setattr(module, cls.__name__, cls)
    return cls


def test_a_class_is_found_by_the_name_it_has(module: ModuleType) -> None:
    cls = hold(module, type("Held", (), {}))

    assert find_class(*class_name(cls)) is cls


def test_a_class_inside_a_class_is_found(module: ModuleType) -> None:
    outer = hold(module, Outer)

    assert find_class(module.__name__, "Outer.Inner") is Outer.Inner is vars(outer)["Inner"]


@pytest.mark.parametrize("cls", [int, KeyError, OrderedDict])
def test_a_class_of_the_standard_library_is_found(cls: type) -> None:
    assert find_class(*class_name(cls)) is cls


def test_a_module_that_nobody_imported_is_not_imported() -> None:
    sys.modules.pop("this", None)

    assert find_class("this", "s") is None
    assert "this" not in sys.modules


def test_a_module_is_not_asked_to_import_what_it_has_not(module: ModuleType) -> None:
    asked: list[str] = []
    module.__getattr__ = asked.append  # type: ignore[method-assign]

    assert find_class(module.__name__, "Lazy") is None
    assert asked == []


def test_an_object_in_a_module_is_not_asked_for_anything(module: ModuleType) -> None:
    class Hardware:
        def __getattr__(self, name: str) -> type:
            raise AssertionError(f"{name} was asked for")

    module.hardware = Hardware()  # type: ignore[attr-defined]

    assert find_class(module.__name__, "hardware.voltage") is None


@pytest.mark.parametrize(
    "name", ["", "missing", "number", "number.real", "Outer.missing", "Outer..Inner", "."]
)
def test_what_is_no_class_is_not_found(module: ModuleType, name: str) -> None:
    hold(module, Outer)
    module.number = 5  # type: ignore[attr-defined]

    assert find_class(module.__name__, name) is None


def test_a_class_of_no_module_is_found_once_it_is_known() -> None:
    cls = type("Cell", (), {"__module__": "a notebook"})

    add_known_class(cls)

    assert find_class("a notebook", "Cell") is cls


def test_the_latest_class_of_a_name_is_found() -> None:
    first, second = (type("Again", (), {"__module__": "a notebook"}) for _ in range(2))

    add_known_class(first)
    add_known_class(second)

    assert find_class("a notebook", "Again") is second


def test_a_known_class_goes_before_that_of_a_module(module: ModuleType) -> None:
    hold(module, type("Both", (), {}))
    known = type("Both", (), {"__module__": module.__name__})

    add_known_class(known)

    assert find_class(module.__name__, "Both") is known


def test_a_name_as_text_is_the_same_name(module: ModuleType) -> None:
    hold(module, Outer)
    Outer.Inner.__module__ = module.__name__

    assert class_text(Outer.Inner) == "a_module_of_this_test:Outer.Inner"
    assert find_class_text(class_text(Outer.Inner)) is Outer.Inner


def test_a_text_that_is_no_name_finds_nothing() -> None:
    assert find_class_text("no colon") is None
