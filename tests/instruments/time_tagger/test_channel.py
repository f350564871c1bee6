from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from instruments.time_tagger.channel import BLOCK, KEPT, BlockChannel, Delayed, choose_apart


@dataclass
class Settings:
    revision: int = 0


class Regular(BlockChannel):
    """A tag every millisecond; it notes which blocks it made."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.made: list[int] = []

    def _make(self, number: int) -> np.ndarray:
        self.made.append(number)
        return number * BLOCK + np.arange(10) * (BLOCK // 10)


def chosen_one_by_one(starts: np.ndarray, ends: np.ndarray) -> list[bool]:
    chosen, end = [], -1
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        chosen.append(first >= end)
        end = last if first >= end else end
    return chosen


@pytest.mark.parametrize("blind", [1, 10, 100, 1000, 100_000])
def test_dead_time_keeps_the_tags_that_a_detector_keeps(blind: int) -> None:
    tags = np.sort(np.random.default_rng(blind).integers(0, 100_000, 1000))
    assert choose_apart(tags, tags + blind).tolist() == chosen_one_by_one(tags, tags + blind)


def test_nothing_is_chosen_from_nothing() -> None:
    assert choose_apart(np.empty(0, np.int64), np.empty(0, np.int64)).size == 0


def test_spans_add_up_to_the_whole() -> None:
    whole = Regular(Settings()).tags(-BLOCK, 3 * BLOCK)
    cuts = [-BLOCK, -1, 5, BLOCK - 1, BLOCK, 2 * BLOCK + 77, 3 * BLOCK]
    channel = Regular(Settings())
    parts = [channel.tags(start, end) for start, end in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.size == 40


def test_empty_span_makes_no_block() -> None:
    channel = Regular(Settings())
    assert channel.tags(5, 5).size == 0
    assert channel.made == []


def test_a_block_is_made_once_until_the_settings_change() -> None:
    settings = Settings()
    channel = Regular(settings)
    for _ in range(3):
        channel.tags(0, BLOCK)
    assert channel.made == [0]
    settings.revision += 1
    channel.tags(0, BLOCK)
    assert channel.made == [0, 0]


def test_only_the_last_blocks_are_kept() -> None:
    channel = Regular(Settings())
    for number in [*range(KEPT + 1), KEPT, 0]:
        channel.tags(number * BLOCK, (number + 1) * BLOCK)
    assert channel.made == [*range(KEPT + 1), 0]


@pytest.mark.parametrize("delay", [0, 1, -1, BLOCK // 3, -5 * BLOCK])
def test_delayed_tags_are_those_of_the_source_later(delay: int) -> None:
    source = Regular(Settings())
    np.testing.assert_array_equal(
        Delayed(source, delay).tags(0, BLOCK), source.tags(-delay, BLOCK - delay) + delay
    )
