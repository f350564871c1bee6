"""Nested attribute names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from instrumentserver.server.nested import delete_nested, get_nested, set_nested


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
