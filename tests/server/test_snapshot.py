"""Snapshots that can travel, and those that wait for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from drivers import Plain
from qcodes.instrument import Instrument

from instrumentserver import Server
from instrumentserver.server.snapshot import snapshot_is_passive


class Own(Instrument):
    """A driver with a snapshot of its own, as some have, with something in it that has no value form."""

    def snapshot_base(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return {**super().snapshot_base(*args, **kwargs), "own": {(1, 2): object, "plain": 3}}


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
