from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fingerprints import fingerprint

from instrumentserver.errors import NotPortable
from instrumentserver.wire import arrays

DTYPES = [
    np.dtype("f8"),
    np.dtype(">u2"),
    np.dtype("U5"),
    np.dtype("S1"),
    np.dtype("V7"),
    np.dtype("M8[25us]"),
    np.dtype("m8[D]"),
    np.dtype("?"),
    np.dtype([("a", "f8"), ("b", ">i2")]),
    np.dtype([]),
    np.dtype([("a", "i1"), ("b", "f8")], align=True),
    np.dtype({"names": ["b", "a"], "formats": ["f8", "i2"], "offsets": [8, 0], "itemsize": 24}),
    np.dtype({"names": ["all", "low"], "formats": ["u4", "u2"], "offsets": [0, 0]}),
    np.dtype([(("a title", "a"), "f8"), ("b", "i4")]),
    np.dtype([("a", [("b", [("c", "U2")])], (2, 1))]),
    np.dtype(("i2", (3,))),
    np.dtype((np.record, [("a", "i4")])),
    np.dtype([("µ", "f4")]),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_dtype_is_the_same_after_its_description(dtype: np.dtype[Any]) -> None:
    assert fingerprint(arrays.load_dtype(arrays.dump_dtype(dtype))) == fingerprint(dtype)


def test_a_dtype_with_a_comment_arrives_without_it() -> None:
    dtype = np.dtype([("a", "f8")], metadata={"made by": "the driver"})

    assert arrays.load_dtype(arrays.dump_dtype(dtype)) == np.dtype([("a", "f8")])


@pytest.mark.parametrize(
    "described", ["O", ["array", "O", [2]], ["fields", [["a", None, 0, "O"]], 8, False, False]]
)
def test_a_dtype_with_python_objects_is_no_dtype_for_bytes(described: Any) -> None:
    with pytest.raises(ValueError, match="Python objects"):
        arrays.load_dtype(described)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy has it from version 2 on")
def test_a_dtype_without_a_description_is_refused() -> None:
    with pytest.raises(NotPortable, match=r"use astype\(\)"):
        arrays.dump_dtype(np.dtypes.StringDType())


def test_a_structured_scalar_with_objects_is_refused() -> None:
    with pytest.raises(NotPortable, match="Python objects"):
        arrays.dump_scalar(np.zeros(1, [("a", object)])[0])


def test_a_structured_array_with_objects_is_refused() -> None:
    with pytest.raises(NotPortable, match="Python objects"):
        arrays.dump_object_array(np.zeros(1, [("a", object)]))


@pytest.mark.parametrize("is_writeable", [True, False])
def test_a_structured_scalar_can_be_changed_as_before(is_writeable: bool) -> None:
    array = np.zeros(1, [("a", "f8")])
    array.flags.writeable = is_writeable

    arrived = arrays.load_scalar(*arrays.dump_scalar(array[0]))

    assert arrived.flags.writeable is is_writeable


def test_a_structured_scalar_that_was_a_key_is_a_key() -> None:
    array = np.zeros(1, [("a", "f8")])
    array.flags.writeable = False

    assert hash(arrays.load_scalar(*arrays.dump_scalar(array[0]))) == hash(array[0])


@pytest.mark.parametrize("shape", [[3], [2, 2], [-1]])
def test_a_shape_that_does_not_hold_the_items_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match="does not hold 0 items"):
        arrays.checked_shape(shape, 0, 8)


def test_items_of_no_bytes_may_be_many() -> None:
    assert arrays.checked_shape([1000, 1000], 0, 0) == [1000, 1000]


def test_arrays_of_arrays_stay_as_deep_as_they_were() -> None:
    array = np.empty(2, dtype=object)
    array[:] = [np.arange(2), np.arange(2)]

    assert fingerprint(arrays.load_object_array(*arrays.dump_object_array(array))) == fingerprint(array)
