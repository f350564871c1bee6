"""Values that leave and enter by the gateway are what clients of Pyro5 and TimeTaggerRPC read and write."""

from __future__ import annotations

import collections
import enum
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from Pyro5.serializers import SerializerBase, serializers
from TimeTaggerRPC.helper import load_numpy_array

from instrumentserver.gateways.pyro.values import ARRAY_CLASS, dump, load, load_array, refusal

UNCHANGED = [None, True, 7, -(2**70), 1.5, -math.inf, 1 + 2j, "a'b\n", "", (1, "a"), [1, [2.5, None]], {1, 2}]
CHANGED = [
    (enum.IntEnum("Edge", "Rising Falling").Falling, 2),
    (enum.IntFlag("Frontend", "Web Pyro")(3), 3),
    (enum.Enum("Mode", {"On": "on"}).On, "on"),
    (enum.Enum("Deep", {"A": (np.int32(1), 2)}).A, (1, 2)),
    (np.float32(0.5), 0.5),
    (np.int64(2**62), 2**62),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.longdouble(0.5), 0.5),
    (np.clongdouble(0.5j), 0.5j),
    (frozenset((1,)), {1}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (MappingProxyType({1: 2}), {1: 2}),
    (collections.namedtuple("Point", "x y")(1, 2), (1, 2)),
    (range(3), [0, 1, 2]),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (timedelta(seconds=1.5), 1.5),
    (Decimal("1.50"), "1.50"),
    (Fraction(1, 3), "1/3"),
    (PurePosixPath("a/b"), "a/b"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (bytearray(b"ab"), b"ab"),
]
ARRAYS = {
    "counts": np.arange(6, dtype=np.int32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": np.empty((0, 4)),
    "of no dimension": np.array(1.5),
    "strided": np.arange(10)[::3],
    "structured": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "text": np.array(["a", "bc"]),
}


def no_reference(value: Any) -> Any:
    raise refusal(value)


@pytest.mark.parametrize("value", UNCHANGED, ids=repr)
def test_plain_values_arrive_as_they_left(value: Any) -> None:
    names = ["serpent"] if isinstance(value, set | tuple) else ["serpent", "msgpack"]  # msgpack has neither
    for name in names:
        assert serializers[name].loads(serializers[name].dumps(dump(value, no_reference))) == value


@pytest.mark.parametrize(("value", "expected"), CHANGED, ids=[type(value).__name__ for value, _ in CHANGED])
def test_values_that_pyro_does_not_know_become_some_that_it_knows(value: Any, expected: Any) -> None:
    dumped = dump([value], no_reference)
    assert dumped == [expected]
    assert type(dumped[0]) is type(expected)


def test_nan_arrives() -> None:
    pyro = serializers["serpent"]
    assert math.isnan(pyro.loads(pyro.dumps(dump(math.nan, no_reference))))


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_what_the_stock_client_reads(name: str) -> None:
    array = ARRAYS[name]
    dumped = dump(array, no_reference)
    assert dumped["__class__"] == ARRAY_CLASS
    read = load_numpy_array(ARRAY_CLASS, dumped)
    assert (read.dtype, read.shape, read.tolist()) == (array.dtype, array.shape, array.tolist())
    assert read.flags.f_contiguous == (array.flags.f_contiguous or name == "strided")


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_the_stock_client_are_read(name: str) -> None:
    array = ARRAYS[name]
    SerializerBase.register_dict_to_class(ARRAY_CLASS, load_array)
    pyro = serializers["serpent"]
    read = load(pyro.loads(pyro.dumps({"data": [dump(array, no_reference)]})), no_reference)["data"][0]
    assert (read.dtype, read.shape, read.tolist()) == (array.dtype, array.shape, array.tolist())


def test_bytes_that_serpent_has_written_as_text_are_bytes_again() -> None:
    pyro = serializers["serpent"]
    sent = [b"\x00\xff", {"raw": b""}, {"data": "no base64!", "encoding": "base64"}]
    assert load(pyro.loads(pyro.dumps(sent)), no_reference) == sent


@pytest.mark.parametrize(
    "value",
    [object(), len, np.array([object()]), [{"a": {1: Exception()}}]],
    ids=["object", "function", "array", "in"],
)
def test_what_has_no_form_is_refused_before_a_client_sees_it(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot go through the Pyro gateway; have the server return"):
        dump(value, no_reference)


def test_references_stand_where_objects_stood() -> None:
    thing = object()
    assert dump({"a": [(thing, 1)]}, lambda value: "it" if value is thing else None) == {"a": [("it", 1)]}
    assert load({"a": [(thing, 1)]}, lambda value: "it" if value is thing else None) == {"a": [("it", 1)]}


def test_array_with_python_objects_inside_is_not_read() -> None:
    import base64
    import io

    file = io.BytesIO()
    np.save(file, np.array([print]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        load_array(ARRAY_CLASS, {"data": base64.b64encode(file.getvalue()).decode()})
