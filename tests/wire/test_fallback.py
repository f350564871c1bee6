"""Values of no type of the table, which a higher floor gives a form."""

from __future__ import annotations

from typing import Any

import pytest

from instrumentserver.errors import NotPortable
from instrumentserver.wire.codec import Codec, Extension


class Thing:
    """Something without a value form."""


def codecs() -> tuple[Codec, Codec]:
    """Return one that gives things a form, and one that reads it."""
    sender, receiver = Codec(), Codec(loaders={50: lambda plain: ("thing", plain)})
    sender.fallback = lambda value: (50, ["a", 1]) if type(value) is Thing else None
    return sender, receiver


@pytest.mark.parametrize(
    ("value", "arrived"),
    [
        (Thing(), ("thing", ["a", 1])),
        ([1, {"x": (Thing(), {2.5})}], [1, {"x": (("thing", ["a", 1]), {2.5})}]),
        ({"plain": 1j}, {"plain": 1j}),
    ],
    ids=["alone", "nested", "without"],
)
def test_the_fallback_is_asked_in_any_position(value: Any, arrived: Any) -> None:
    sender, receiver = codecs()

    assert receiver.decode(*sender.encode(value)) == arrived


def test_what_the_fallback_does_not_know_is_refused() -> None:
    sender, _ = codecs()

    with pytest.raises(NotPortable, match=r"object .* cannot travel"):
        sender.encode([Thing(), object()])
    assert sender.encode([Thing()])


def test_without_a_fallback_it_is_refused() -> None:
    with pytest.raises(NotPortable, match="Thing"):
        Codec().encode(Thing())


def test_values_and_extensions_are_never_asked_for() -> None:
    asked = []
    codec = Codec([Extension(51, lambda value: [] if type(value) is Thing else None, lambda plain: None)])
    codec.fallback = asked.append

    codec.encode([None, 1, 2.5, "a", b"b", (1,), {3}, 1j, Thing()])

    assert asked == []


def test_an_error_of_the_fallback_is_raised_and_spoils_nothing() -> None:
    sender, receiver = codecs()

    def fail(value: Any) -> None:
        raise LookupError("gone")

    sender.fallback = fail
    with pytest.raises(LookupError, match="gone"):
        sender.encode([[Thing()]])

    sender.fallback = None
    assert receiver.decode(*sender.encode([[1]])) == [[1]]
