"""Names of process variables, and what is served under them."""

from __future__ import annotations

import pytest

from instrumentserver import UsageError
from instrumentserver.gateways.epics.table import Function, Table, as_served, misfit
from instrumentserver.schema import ChannelSchema, ChannelType

X = ChannelSchema("dac.x", unit="V")
Y = ChannelSchema("dac.ch1.y")


def test_names_are_the_prefix_and_the_path_with_colons() -> None:
    table = Table("lab:")
    changes = table.update("unix:foo", [X, Y, Function("dac.reset")])
    assert list(table.rows) == ["lab:dac:x", "lab:dac:ch1:y", "lab:dac:reset"]
    assert [row.path for row in changes.added] == ["dac.x", "dac.ch1.y", "dac.reset"]
    assert {row.instrument for row in changes.added} == {"dac"}


def test_the_same_again_changes_nothing() -> None:
    table = Table("")
    table.update("unix:foo", [X, Y])
    assert table.update("unix:foo", [X, Y]) == ([], [], [], {})


def test_what_is_no_more_is_removed() -> None:
    table = Table("")
    table.update("unix:foo", [X, Y])
    changes = table.update("unix:foo", [Y])
    assert [row.path for row in changes.removed] == ["dac.x"]
    assert list(table.rows) == ["dac:ch1:y"]


def test_what_is_of_another_type_now_is_removed_and_added() -> None:
    table = Table("")
    table.update("unix:foo", [X])
    changes = table.update("unix:foo", [X._replace(type=int(ChannelType.STRING))])
    assert len(changes.removed) == len(changes.added) == 1


@pytest.mark.parametrize(
    "said", [{"unit": "A"}, {"lower": -1.0, "upper": 1.0}, {"label": "Y"}, {"precision": 2}]
)
def test_what_is_said_otherwise_is_described(said: dict[str, object]) -> None:
    table = Table("")
    table.update("unix:foo", [X])
    changes = table.update("unix:foo", [X._replace(**said)])  # type: ignore[arg-type]
    assert (changes.removed, changes.added, len(changes.described)) == ([], [], 1)


def test_name_that_is_too_long_is_refused_with_the_remedy() -> None:
    table = Table("p" * 53)
    changes = table.update("unix:foo", [X, ChannelSchema("dac.xyz")])
    assert list(table.rows) == ["p" * 53 + "dac:x"]
    (reason,) = changes.refused.values()
    assert "60 characters" in reason
    assert "choose a shorter prefix" in reason


def test_longer_names_are_taken_where_there_is_no_limit() -> None:
    table = Table("p" * 53, longest=500)
    table.update("unix:foo", [ChannelSchema("dac.xyz")])
    assert table.refused == {}


def test_name_with_a_character_that_cannot_be_is_refused() -> None:
    table = Table("")
    table.update("unix:foo", [ChannelSchema("dac.µ")])
    assert "'µ' cannot be part" in table.refused["dac:µ"]


def test_name_of_two_servers_is_served_for_the_first() -> None:
    table = Table("")
    table.update("unix:foo", [X])
    table.update("unix:bar", [X])
    assert table.rows["dac:x"].address == "unix:foo"
    assert "dac.x of unix:foo has that name already" in table.refused["dac:x of unix:bar"]
    changes = table.update("unix:foo", [])
    assert table.rows["dac:x"].address == "unix:bar"
    assert len(changes.removed) == len(changes.added) == 1


def test_refusals_are_told_once() -> None:
    table = Table("")
    assert len(table.update("unix:foo", [ChannelSchema("dac.µ")]).refused) == 1
    assert table.update("unix:foo", [ChannelSchema("dac.µ")]).refused == {}


@pytest.mark.parametrize("prefix", ["lab ", "a.b:", "x$", "é:", "'"])
def test_prefix_that_cannot_be_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="as in 'lab:'"):
        Table(prefix)


@pytest.mark.parametrize("prefix", ["", "lab:", "XF:23ID1-ES{Dif}", "a-b_c:[1]<2>;"])
def test_prefixes_as_facilities_have_them(prefix: str) -> None:
    Table(prefix)


def test_guessed_whole_number_is_served_as_any_number() -> None:
    guessed = ChannelSchema("a.b", type=int(ChannelType.LONG), is_guessed=True)
    assert as_served(guessed).type == ChannelType.DOUBLE
    assert as_served(guessed._replace(is_guessed=False)).type == ChannelType.LONG


def test_guessed_array_never_becomes_shorter() -> None:
    long = ChannelSchema("a.b", count=10, is_array=True, is_guessed=True)
    assert as_served(long._replace(count=3), long).count == 10
    assert as_served(long._replace(count=30), long).count == 30


def test_read_only_takes_no_write() -> None:
    assert as_served(X, read_only=True).settable is False


def test_value_of_another_type_than_was_guessed_is_a_misfit() -> None:
    guessed = ChannelSchema("a.b", is_guessed=True)
    assert misfit(guessed, 1) is None
    assert misfit(guessed, 2.5) is None
    assert misfit(guessed, None) is None
    assert misfit(guessed, "text") is not None
    assert misfit(guessed, [1.0, 2.0]) is not None
    assert misfit(guessed._replace(is_guessed=False), "text") is None
