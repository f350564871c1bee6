"""Snapshots that can travel, and those that wait for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from drivers import Plain
from qcodes.instrument import Instrument

from instrumentserver import Server, UnknownName
from instrumentserver.server.snapshot import snapshot_is_passive
from instrumentserver.wire.failures import load_failure
from instrumentserver.wire.messages import Op


class Own(Instrument):
    """A driver with a snapshot of its own, as some have, with something in it that has no value form."""

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return {**super().snapshot_base(*args, **kwargs), "own": {(1, 2): object, "plain": 3}}


class Broken(Instrument):
    """A driver whose snapshot fails."""

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        raise OSError(5, f"{self.name} has no snapshot")


@pytest.fixture
def own() -> Iterator[Own]:
    instrument = Own("own")
    yield instrument
    instrument.close()


def test_a_snapshot_of_caches_is_passive_unless_a_driver_wrote_it(own: Own) -> None:
    plain = Plain("plain")
    assert snapshot_is_passive(plain, False)
    assert snapshot_is_passive(plain.x, "Never")
    assert snapshot_is_passive(plain.outs, False)
    assert not snapshot_is_passive(plain, True)
    assert not snapshot_is_passive(plain, None)
    assert not snapshot_is_passive(own, False)
    plain.close()


def test_what_cannot_travel_is_shown_as_text(server: Server) -> None:
    snapshot = server.create(Own, "own").snapshot()
    assert snapshot["own"] == {(1, 2): "<class 'object'>", "plain": 3}
    assert snapshot["__class__"].endswith("Own")


def test_one_message_takes_several_snapshots_each_by_itself(server: Server) -> None:
    plain = server.create(Plain, "plain")
    server.create(Broken, "broken")
    link = plain._link
    version, replies = link.session.request(
        [Op.SNAPSHOTS, "", ["broken", "nobody", "plain", "plain.ch1.v"], False]
    )
    assert version == 0
    assert list(replies) == ["broken", "plain", "plain.ch1.v"]
    assert replies["plain"] == [link.version, plain.snapshot(update=False)]
    assert replies["plain.ch1.v"] == [link.version, plain.ch1.v.snapshot(update=False)]
    number, nothing, failure = replies["broken"]
    assert (number, nothing) == (0, None)
    assert repr(load_failure(failure)) == "OSError(5, 'broken has no snapshot')"
    assert f"server {server.name!r} (pid {server.pid})" in failure["traceback"]


def test_a_part_that_is_not_there_fails_by_itself(server: Server) -> None:
    plain = server.create(Plain, "plain")
    replies = plain._link.session.request([Op.SNAPSHOTS, "", ["plain.ch9", "plain.x"], False])[1]
    assert isinstance(load_failure(replies["plain.ch9"][2]), UnknownName)
    assert len(replies["plain.x"]) == 2
