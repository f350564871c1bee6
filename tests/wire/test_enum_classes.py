"""Enum classes as values, at receivers that have the class and at those that have not."""

from __future__ import annotations

import copy
import enum
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from portable import Bits, Color, Coupling, Mode, Speed, Status

from instrumentserver.errors import NotPortable, ProtocolError
from instrumentserver.wire.codec import Codec

CLASSES = [Color, Speed, Mode, Coupling, Status, Bits]


def journey(value: Any) -> Any:
    """Return a value as it arrives."""
    return Codec().decode(Codec().encode(value)[0])


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the receiver not have the classes."""
    monkeypatch.delitem(sys.modules, "portable")
    return


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_arrives_as_itself_where_it_is_known(cls: type[enum.Enum]) -> None:
    assert journey({"it": [cls]})["it"][0] is cls


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_that_stands_in_has_the_same_members(cls: type[enum.Enum]) -> None:
    found = journey(cls)
    assert found is not cls
    assert [(name, member.value) for name, member in found.__members__.items()] == [
        (name, member.value) for name, member in cls.__members__.items()
    ]
    assert [repr(member) for member in found] == [repr(member) for member in cls]
    assert [str(member) for member in found] == [str(member) for member in cls]
    assert (found.__name__, found.__module__, found.__doc__) == (cls.__name__, cls.__module__, cls.__doc__)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("cls", CLASSES)
def test_members_are_of_the_class_that_stands_in(cls: type[enum.Enum]) -> None:
    found = journey(cls)
    assert journey(cls) is found
    assert all(journey(member) is found[member.name] for member in cls)


@pytest.mark.usefixtures("elsewhere")
def test_flags_combine_and_compare() -> None:
    bits, status = journey(Bits), journey(Status)
    assert bits.LOW | bits.HIGH == 129
    assert journey(Bits(3 | 64)) == 67
    assert (bits.LOW | bits.HIGH) & bits.LOW is bits.LOW
    assert status.READY in status.READY | status.ERROR
    assert journey(Speed).SLOW < journey(Speed).FAST
    assert journey(Mode).DC == "dc"
    assert journey(Color).ROSE is journey(Color).RED


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("cls", CLASSES)
def test_members_are_pickled_and_copied(cls: type[enum.Enum]) -> None:
    for member in journey(cls):
        assert pickle.loads(pickle.dumps(member)) is member
        assert copy.deepcopy([member])[0] is member
    combined = journey(Bits(3 | 64))
    assert pickle.loads(pickle.dumps(combined)) == combined


def test_a_pickled_member_is_of_the_class_itself_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "portable")
        pickled = pickle.dumps(journey(Color).GREEN)
    assert pickle.loads(pickled) is Color.GREEN


@pytest.mark.usefixtures("elsewhere")
def test_a_member_that_stands_in_goes_back_as_the_class_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    message = Codec().encode([journey(Color).GREEN, journey(Bits)(67), journey(Color)])[0]
    monkeypatch.undo()
    assert Codec().decode(message) == [Color.GREEN, Bits(67), Color]


def test_an_enum_of_very_many_members_is_no_value() -> None:
    many = enum.Enum("many", [f"m{number}" for number in range(1000)])  # type: ignore[misc]
    with pytest.raises(NotPortable):
        Codec().encode(many)
    with pytest.raises(NotPortable):
        Codec().encode(enum.Enum("none", []))  # type: ignore[misc]


@pytest.mark.parametrize("name", ["_value_", "__init__", "_missing_", "_generate_next_value_", "__class__"])
def test_a_class_whose_members_have_names_with_a_meaning_is_refused(name: str) -> None:
    from instrumentserver.wire import values

    with pytest.raises(ValueError, match="a member"):
        values.load("enumclass", "x", "Y", "Enum", [[name, 1]], None)
    import msgpack

    plain = msgpack.packb(["enumclass", "x", "Y", "Enum", [[name, 1]], None])
    with pytest.raises(ProtocolError):
        Codec().decode(msgpack.packb(msgpack.ExtType(5, plain)))
