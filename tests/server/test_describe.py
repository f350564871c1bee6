"""Descriptions are in themselves consistent, also while a thread of the driver adds parts."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator
from typing import Any

import pytest
from drivers import Channel, Plain

from instrumentserver.server.describe import describe_instrument
from instrumentserver.server.hosted import Hosted
from instrumentserver.server.locks import InstrumentLock


class GrowsWhenSeen(dict[str, Any]):
    """A dict that gains an item after each look at it.

    Args:
        content: What it has at first.
        new: Makes the next item of its name.
    """

    def __init__(self, content: dict[str, Any], new: Callable[[str], Any]) -> None:
        super().__init__(content)
        self._new = new

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        found = dict(super().items())
        name = f"late{len(self)}"
        self[name] = self._new(name)
        return found.items()


@pytest.fixture
def plain() -> Iterator[Plain]:
    instrument = Plain("described")
    yield instrument
    instrument.close()


def test_what_is_added_meanwhile_is_left_to_the_next_description(plain: Plain) -> None:
    before = list(plain.submodules)
    hosted = Hosted("described", plain, None, InstrumentLock("id"))  # type: ignore[arg-type]
    plain.submodules = GrowsWhenSeen(plain.submodules, lambda name: Channel(plain, name))

    def describe() -> list[str]:
        schema = describe_instrument(hosted, lambda value: True, lambda part: None)
        root, *below = schema.modules
        lists = [channels.name for channels in root.channel_lists]
        assert sorted(root.order) == sorted([name for name, _ in root.submodules] + lists)
        assert {place for _, place in root.submodules} <= {module.path for module in below}
        return list(root.order)

    first = describe()
    assert first[: len(before)] == before
    assert len(plain.submodules) > len(first)
    assert len(describe()) > len(first)
