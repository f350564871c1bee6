"""The texts of points, which are kept as long as the points are the same."""

from __future__ import annotations

import json

import pytest

from instrumentserver.sockets.constants import OLD_DATA
from instrumentserver.sockets.pull.texts import PointTexts


def raw(point: object) -> str:
    return OLD_DATA if point is OLD_DATA else "{},{}".format(*point)


POINTS = {
    "a": (0.1, -0.0),
    "b c": (1, True),
    "c": (None, "x"),
    "d": OLD_DATA,
    "e": (float("nan"), [1, {"x": 2}]),
    "f": "xy",
}


def test_texts_are_those_of_json_and_of_print_however_often_they_are_asked_for() -> None:
    texts = PointTexts()
    for _ in range(2):
        assert texts.all_json(POINTS) == json.dumps(list(POINTS.values())).encode()
        assert texts.named_json(POINTS) == json.dumps(POINTS).encode()
        assert texts.all_raw(POINTS) == ";".join(map(raw, POINTS.values())).encode()
        assert (
            texts.named_raw(POINTS)
            == ";".join(f"{name}:{raw(point)}" for name, point in POINTS.items()).encode()
        )
    assert (texts.all_json({}), texts.named_json({}), texts.all_raw({}), texts.named_raw({})) == (
        b"[]",
        b"{}",
        b"",
        b"",
    )


def test_number_is_a_name_in_json() -> None:
    assert PointTexts().named_json({5: (1, 2), "µ": (3, 4)}) == b'{"5": [1, 2], "\\u00b5": [3, 4]}'


@pytest.mark.parametrize(
    ("before", "after"), [((1, 2), (1.0, 2)), ((1, True), (1, 1)), ((1, 2), OLD_DATA), (OLD_DATA, (1, 2))]
)
def test_equal_points_that_print_differently_are_told_apart(before: object, after: object) -> None:
    texts = PointTexts()
    for point in (before, after, before):
        assert texts.raw("a", point) == raw(point).encode()
        assert texts.json("a", point) == json.dumps(point).encode()


def test_point_that_is_changed_in_place_is_encoded_anew() -> None:
    texts, values = PointTexts(), [1]
    for point in ((0, values), values):
        values[:] = [1, 2]
        texts.raw("a", point), texts.json("a", point)
        values[:] = [3, 4]
        assert texts.raw("a", point) == raw(point).encode()
        assert texts.json("a", point) == json.dumps(point).encode()
