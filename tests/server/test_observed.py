"""A tree tells when it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from drivers import Channel, Growing, Plain
from qcodes.instrument import Instrument

from instrumentserver.server.observed import Version, observe_tree


@pytest.fixture
def plain() -> Iterator[Plain]:
    instrument = Plain("observed")
    yield instrument
    instrument.close()


CHANGES: list[Callable[[Plain], object]] = [
    lambda plain: plain.grow("late"),
    lambda plain: plain.shrink("x"),
    lambda plain: plain.add_function("late", call_cmd=lambda: None),
    lambda plain: plain.functions.pop("echo"),
    lambda plain: plain.add_submodule("late", Channel(plain, "late")),
    lambda plain: plain.ch1.add_parameter("late", set_cmd=None),
    lambda plain: plain.outs[2].add_parameter("late", set_cmd=None),
    lambda plain: plain.parameters.clear(),
    lambda plain: plain.parameters.update(plain.ch1.parameters),
    lambda plain: plain.ch1.parameters.setdefault("late", plain.x),
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_tree_advances_the_version(
    plain: Plain, change: Callable[[Plain], object]
) -> None:
    version = Version()
    observe_tree(plain, version)
    before = version.number
    change(plain)
    assert version.number > before


def test_what_was_added_is_observed_after_the_next_look() -> None:
    growing = Growing("growing")
    version = Version()
    observe_tree(growing, version)
    before = version.number
    growing.add_channel()
    assert version.number > before
    observe_tree(growing, version)
    before = version.number
    growing.chans[1].add_parameter("late", set_cmd=None)
    assert version.number > before
    growing.close()


def test_getting_setting_and_snapshots_advance_nothing(plain: Plain) -> None:
    version = Version()
    observe_tree(plain, version)
    before = version.number
    plain.x(1)
    plain.snapshot(update=True)
    plain.outs.v()
    observe_tree(plain, version)
    assert version.number == before


def test_no_two_trees_have_the_same_version() -> None:
    assert len({Version().number for _ in range(100)}) == 100


def test_an_observed_instrument_closes_as_any_other() -> None:
    plain = Plain("closing")
    observe_tree(plain, Version())
    plain.close()
    assert not Instrument.exist("closing")
