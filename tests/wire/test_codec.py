from __future__ import annotations

import enum
import gc
import pickle
import tracemalloc
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import portable
import psutil
import pytest
from fingerprints import fingerprint
from hypothesis import given
from hypothesis import strategies as st
from portable import Bits, Color, Coupling, Mode, Point, Speed, Status, bounded

from instrumentserver.errors import InstrumentServerError, NotPortable, ProtocolError
from instrumentserver.wire.codec import OUT_OF_BAND, Codec, Extension

MEGABYTE = 1 << 20


def journey(value: Any, codec: Codec | None = None) -> Any:
    """Return what arrives of a value."""
    codec = codec or Codec()
    message, buffers = codec.encode(value)
    return codec.decode(bytes(message), [memoryview(bytearray(buffer)) for buffer in buffers])


PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    10**1000,
    -(10**1000),
    0.0,
    -0.0,
    5e-324,
    float("nan"),
    float("inf"),
    float("-inf"),
    1j,
    complex(-0.0, float("nan")),
    complex(float("inf"), -0.0),
    "",
    "Ω µV\0",
    "\ud800",
    b"",
    bytes(range(256)),
    (),
    (1,),
    [],
    {},
    set(),
    frozenset(),
    {1, "1", 1.5, (1, 2), None},
    frozenset({frozenset(), frozenset({1})}),
    ...,
    NotImplemented,
    range(0, -10, -3),
    slice(None, 5, None),
]

KEYS = [
    None,
    True,
    2**70,
    float("nan"),
    -0.0,
    1j,
    "key",
    "\udfff",
    b"key",
    (),
    (1, ("a", None)),
    frozenset({1, 2}),
    datetime(2024, 2, 29, tzinfo=UTC),
    timedelta(-1),
    Color.RED,
    Mode.DC,
    np.int8(3),
    np.float64("nan"),
    np.str_("key"),
    Decimal("1.10"),
    range(3),
    Point(1, 2),
]

TIMES = [
    datetime.min,
    datetime.max,
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Copenhagen")),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-5, microseconds=1))),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "lab")),
    time(23, 59, 59, 999999),
    time(1, tzinfo=timezone(timedelta(hours=1))),
    date.min,
    timedelta.max,
    timedelta.min,
]

OTHERS = [
    *Color,
    Color.ROSE,
    *Speed,
    *Mode,
    *Coupling,
    Status.READY | Status.ERROR,
    Status(0),
    Bits(3 | 64),
    Point(1.0),
    OrderedDict([("b", 1), ("a", (2,))]),
    Decimal("-0"),
    Decimal("sNaN"),
    Decimal("1E+1000"),
    Fraction(-1, 3),
    UUID(int=5),
    Path("a/ü"),
    np.dtype("f4"),
    np.dtype(object),
    np.dtype([("a", "i1"), ("b", "f8", (2,))], align=True),
    np.dtype(("f4", (2, 3))),
]

SCALARS = [
    np.float64(-0.0),
    np.float64("nan"),
    np.float16(1.5),
    np.longdouble(1) / 3,
    np.int64(-1),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.complex64(1 - 2j),
    np.clongdouble(1j),
    np.str_(""),
    np.str_("µ\ud800"),
    np.bytes_(b"\0a"),
    np.bytes_(b""),
    np.datetime64("NaT", "ns"),
    np.datetime64("2024-01-01T00:00:00.123456789"),
    np.timedelta64(5, "us"),
    np.void(b"\0\1"),
    np.zeros((), [("a", "f8"), ("b", "U3")])[()],
    np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
]

STRUCTURED = np.dtype({"names": ["b", "a"], "formats": ["f8", "i2"], "offsets": [8, 0], "itemsize": 24})

ARRAYS = [
    np.array(1.5),
    np.array("text"),
    np.empty(0),
    np.empty((0, 3, 0), "i2"),
    np.empty((3, 0), order="F"),
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(24).reshape(2, 3, 4).T,
    np.arange(10)[::-2],
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    np.broadcast_to(np.float32(2), (3, 4)),
    np.arange(5, dtype=">i4"),
    np.array([True, False]),
    np.array([1 + 2j, np.nan], "c8"),
    np.array(["a", "", "µµµ"]),
    np.array([b"a", b"\0b"]),
    np.array(["2024-01-01", "NaT"], "M8[ns]"),
    np.array([1, -1], "m8[s]"),
    np.array([(1.5, -1), (np.nan, 2)], STRUCTURED),
    np.array([(1, (2.0, 3.0))], np.dtype([("a", "i1"), ("b", "f8", (2,))], align=True)),
    np.array([(1, (2, "x"))], [("a", "i4"), ("in", [("c", "u1"), ("d", "U1")])]),
    np.zeros(3, [(("the title", "a"), "f8")]),
    np.zeros(3, []),
    np.zeros(2, "V3"),
    np.ones(3, dtype=np.dtype((np.record, [("a", "i4")]))),
    np.arange(OUT_OF_BAND // 8 - 1, dtype="f8"),
    np.arange(OUT_OF_BAND // 8, dtype="f8"),
    np.asfortranarray(np.random.default_rng(1).random((40, 50))),
    np.array([1, "a", None, [1], np.arange(3)], dtype=object),
    np.asfortranarray(np.array([[1, "a"], [None, ()]], dtype=object)),
    np.array(None, dtype=object),
    np.empty((0, 2), dtype=object),
]


def shown(value: Any) -> str:
    return (
        f"{type(value).__name__} {value!r:.30}".replace("\n", " ")
        .replace("\0", "")
        .encode("ascii", "replace")
        .decode()
    )


@pytest.mark.parametrize("value", [*PLAIN, *TIMES, *OTHERS, *SCALARS, *ARRAYS], ids=shown)
def test_a_value_arrives_exactly_as_it_left(value: Any) -> None:
    assert fingerprint(journey(value)) == fingerprint(value)


@pytest.mark.parametrize("value", [*PLAIN, *TIMES, *OTHERS, *SCALARS, *ARRAYS], ids=shown)
def test_a_value_inside_others_arrives_exactly_as_it_left(value: Any) -> None:
    nested = [
        {"a": (value, [value]), "b": OrderedDict(c=Point(1, value))},
        np.array([value, 0], dtype=object)[:1],
    ]

    assert fingerprint(journey(nested)) == fingerprint(nested)


@pytest.mark.parametrize("key", KEYS, ids=shown)
def test_a_key_arrives_exactly_as_it_left(key: Any) -> None:
    assert fingerprint(journey({key: 1, "other": 2})) == fingerprint({key: 1, "other": 2})


@pytest.mark.slow
@bounded
@given(portable.values)
def test_any_value_arrives_exactly_as_it_left(value: Any) -> None:
    assert fingerprint(journey(value)) == fingerprint(value)


@pytest.mark.slow
@bounded
@given(portable.arrays)
def test_any_array_arrives_exactly_as_it_left(array: np.ndarray[Any, Any]) -> None:
    assert fingerprint(journey(array)) == fingerprint(array)


@pytest.mark.parametrize("value", [Color.RED, Point(1, 2), Mode.DC, Status.READY | Status.BUSY], ids=shown)
def test_a_class_that_is_here_is_found_again(value: Any) -> None:
    assert type(journey(value)) is type(value)


def test_members_of_an_enum_arrive_as_themselves() -> None:
    assert journey(Color.ROSE) is Color.RED


def test_arrays_arrive_writable() -> None:
    small, large = journey([np.arange(3), np.arange(1000)])

    small[0] = large[0] = 7

    assert (small[0], large[0]) == (7, 7)


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_of_other_types_arrive_as_bytes(value: Any) -> None:
    assert journey(value) == b"abc"
    assert type(journey(value)) is bytes


# Buffers


@pytest.mark.parametrize(
    "array",
    [np.arange(1000.0), np.arange(1000.0).reshape(10, 100).T, np.zeros(200, [("a", "f8")])],
    ids=["C order", "Fortran order", "structured"],
)
def test_a_large_array_travels_beside_the_message_without_being_copied(array: np.ndarray[Any, Any]) -> None:
    message, buffers = Codec().encode({"trace": array})

    assert len(message) < 200
    assert np.shares_memory(np.frombuffer(buffers[0], np.uint8), array)


def test_a_large_array_is_not_copied_on_arrival() -> None:
    message, buffers = Codec().encode(np.arange(1000.0))
    received = memoryview(bytearray(buffers[0]))

    array = Codec().decode(message, [received])

    assert np.shares_memory(np.frombuffer(received, np.uint8), array)


def test_a_small_array_travels_inside_the_message() -> None:
    assert not Codec().encode(np.zeros(OUT_OF_BAND - 1, "u1"))[1]


def test_more_arrays_than_a_frame_has_buffers_arrive() -> None:
    arrays = [np.full(OUT_OF_BAND, number % 256, "u1") for number in range(1100)]

    _, buffers = Codec().encode(arrays)

    assert len(buffers) <= 1024
    assert fingerprint(journey(arrays)) == fingerprint(arrays)


def test_a_codec_keeps_no_arrays_alive() -> None:
    codec = Codec()
    message, sent = codec.encode(np.arange(1000.0))
    received = bytearray(sent[0])
    view = memoryview(received)
    codec.decode(message, [view])
    view.release()

    # A bytearray cannot grow while anybody still looks at it.
    received.append(0)


def test_the_memory_of_a_large_message_can_be_given_back() -> None:
    codec = Codec()
    process = psutil.Process()
    text = "x" * (40 * MEGABYTE)
    before = process.memory_info().rss

    codec.encode((text,))
    codec.trim()

    assert process.memory_info().rss - before < 15 * MEGABYTE


def test_a_codec_works_after_its_memory_was_given_back() -> None:
    codec = Codec()
    codec.trim()

    assert journey((1, (2,)), codec) == (1, (2,))


# Values that cannot travel


class Driver:
    """Something of a user's."""


class Text(str):
    """A string that is more than a string."""


def refused() -> dict[str, Any]:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    tuples: tuple[Any, ...] = ()
    lists: list[Any] = []
    for _ in range(100):
        tuples = (tuples,)
    for _ in range(2000):
        lists = [lists]
    return {
        "object": Driver(),
        "function": shown,
        "lambda": lambda: 0,
        "class": Driver,
        "generator": (i for i in ()),
        "subclass of str": Text(),
        "subclass of array": np.ma.array([1]),
        "structured with objects": np.zeros(1, [("a", object)]),
        "cycle": cyclic,
        "deep tuples": tuples,
        "deep lists": lists,
        "exception": ValueError(),
    }


@pytest.mark.parametrize("name", refused())
def test_what_cannot_travel_is_refused(name: str) -> None:
    with pytest.raises(NotPortable):
        Codec().encode([1, {"deep": (refused()[name],)}])


@pytest.mark.parametrize("name", refused())
def test_a_codec_works_after_a_refusal(name: str) -> None:
    codec = Codec()
    with pytest.raises(NotPortable):
        codec.encode((np.arange(1000), refused()[name]))

    assert fingerprint(journey((1, np.arange(2000)), codec)) == fingerprint((1, np.arange(2000)))


def test_a_refusal_names_the_value_and_the_remedy() -> None:
    with pytest.raises(NotPortable, match=r"test_codec\.Driver.* cannot travel .*; send a dict"):
        Codec().encode({"x": Driver()})


def test_a_value_that_cannot_even_be_shown_is_refused_by_its_class() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(NotPortable, match="Shy"):
        Codec().encode(Shy())


def test_nothing_is_pickled() -> None:
    class Bait:
        def __reduce__(self) -> Any:
            raise AssertionError("somebody pickles")

    with pytest.raises(NotPortable):
        Codec().encode([Bait(), np.array([Bait()], dtype=object)])


def test_the_deepest_value_that_is_sent_can_be_received() -> None:
    value: Any = ()
    deepest = None
    while True:
        try:
            Codec().encode(value)
        except NotPortable:
            break
        deepest = value
        value = (value,)

    assert deepest is not None
    assert Codec().decode(Codec().encode(deepest)[0]) == deepest


# Extensions


def test_an_extension_carries_its_kind_of_object() -> None:
    code = Extension(
        40,
        lambda value: [value.real, value.imag] if isinstance(value, complex) else None,
        lambda plain: tuple(plain),
    )

    assert journey({"a": [1j, "b"]}, Codec([code])) == {"a": [(0.0, 1.0), "b"]}


def test_an_extension_can_carry_anything_portable() -> None:
    array = np.arange(1000)
    code = Extension(
        40, lambda value: {"a": array} if isinstance(value, Driver) else None, lambda plain: plain["a"]
    )

    assert fingerprint(journey((Driver(),), Codec([code]))) == fingerprint((array,))


def test_an_extension_that_the_receiver_does_not_know_is_refused() -> None:
    message, _ = Codec([Extension(40, lambda value: "x" if isinstance(value, Driver) else None, str)]).encode(
        Driver()
    )

    with pytest.raises(ProtocolError, match="40"):
        Codec().decode(message)


def test_the_error_of_an_extension_arrives_as_it_is() -> None:
    def load(plain: Any) -> Any:
        raise NotPortable("gone")

    codec = Codec([Extension(40, lambda value: "x" if isinstance(value, Driver) else None, load)])
    with pytest.raises(NotPortable, match="gone"):
        journey(Driver(), codec)


# Hostile bytes


def message(code: int, *parts: Any) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(parts))))


def value(kind: str, *parts: Any) -> bytes:
    return message(5, kind, *parts)


def ext(kind: str, *parts: Any) -> msgpack.ExtType:
    return msgpack.ExtType(5, msgpack.packb([kind, *parts]))


ENDLESS = ext("range", 0, 10**12, 1)

HOSTILE = {
    "nothing": b"",
    "reserved byte": b"\xc1",
    "two messages": b"\x01\x02",
    "list without items": b"\xdd\x7f\xff\xff\xff",
    "lists inside lists without items": b"\xdd\x00\x0f\xff\xff" * 1000,
    "dict without items": b"\xdf\xff\xff\xff\xff",
    "string without text": b"\xdb\xff\xff\xff\xff",
    "extension without data": b"\xc9\xff\xff\xff\xff\x05",
    "unhashable key": b"\x81\x90\x01",
    "bad text": b"\xa1\xff",
    "unknown extension": msgpack.packb(msgpack.ExtType(99, b"")),
    "unknown kind": value("pickle", b""),
    "kind of another type": value([], 1),  # type: ignore[arg-type]
    "no kind": msgpack.packb(msgpack.ExtType(5, b"\x90")),
    "a pickle": pickle.dumps([1]),
    "float of 7 bytes": msgpack.packb(msgpack.ExtType(1, b"1234567")),
    "endless tuple": msgpack.packb(msgpack.ExtType(2, msgpack.packb(ENDLESS))),
    "endless set": value("set", ENDLESS),
    "endless frozenset": value("frozenset", ENDLESS),
    "endless ordered dict": value("ordereddict", ENDLESS),
    "endless array": value("objects", [10**12], False, ENDLESS),
    "endless named tuple": value("namedtuple", "portable", "Point", ["x", "y"], ENDLESS),
    "endless int": value("int", ENDLESS),
    "endless enum": value("enum", "m", "E", "Enum", "A", 1, ENDLESS),
    "huge fraction": value("fraction", "1e999999999", 1),
    "huge fraction of a decimal": value("fraction", ext("decimal", "1e999999999"), 1),
    "huge scalar": value("scalar", "V2147483647", 2**33, False),
    "scalar without bytes": value("scalar", "V2147483647", b"", False),
    "short scalar": value("scalar", "<f8", b"1", False),
    "scalar object": value("scalar", "O", b"12345678", False),
    "array of objects": message(3, "O", [1], False, b"12345678"),
    "array of fields with objects": message(
        3, ["fields", [["a", None, 0, "O"]], 8, False, False], [1], False, b"1" * 8
    ),
    "array of objects over numbers": message(
        3,
        ["fields", [["a", None, 0, "O"], ["b", None, 0, "i8"]], 8, False, False],
        [1],
        False,
        b"1" * 8,
    ),
    "array beyond its bytes": message(3, "<f8", [10**9], False, b"12345678"),
    "array of no bytes": message(3, "<f8", [10**9], False, b""),
    "array of a negative shape": message(3, "<f8", [-5, 0], False, b""),
    "array of a huge shape": message(3, "<f8", [2**62, 2**62], False, b"12345678"),
    "array of half an item": message(3, "<f8", [1], False, b"1234"),
    "array in no buffer": message(4, "<f8", [1], False, 0),
    "array in a text": message(4, "<f8", [1], False, "x"),
    "array of an unknown dtype": message(3, "evil", [1], False, b"12345678"),
    "array of huge items": message(3, ["array", "f8", [2**30, 2**30]], [1], False, b"12345678"),
    "array of fields outside": message(
        3, ["fields", [["a", None, 100, "f8"]], 8, False, False], [1], False, b"1" * 8
    ),
    "enum without members": value("enum", "m", "E", "Enum", "A", 1, []),
    "enum with methods": value("enum", "m", "E", "Enum", "A", 1, [["A", 1], ["__str__", 5]]),
    "enum with hooks": value("enum", "m", "E", "Enum", "A", 1, [["A", 1], ["_missing_", 5]]),
    "enum of many members": value("enum", "m", "E", "Enum", "A", 1, [[f"A{n}", n] for n in range(5000)]),
    "enum of an unknown kind": value("enum", "m", "E", "Enum", "B", 7, [["A", 1]]),
    "named tuple with code": value("namedtuple", "m", "P", ["x", "y): import os #"], [1, 2]),
    "unknown zone": value("datetime", "2024-01-01T00:00:00", 0, ["zone", "../../etc/passwd"]),
    "date of no year": value("date", "0000-01-01"),
    "timestamp of three bytes": b"\xc7\x03\xff123",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Codec().decode(data)


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_take_no_memory(data: bytes) -> None:
    codec = Codec()
    before = psutil.Process().memory_info().rss
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            codec.decode(data)
        traced = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    # numpy counts memory that it has asked for and never touches; the process has taken less.
    assert min(traced, psutil.Process().memory_info().rss - before) < 20 * MEGABYTE


@pytest.mark.parametrize("code", [2, 5])
def test_values_deep_inside_one_another_are_refused(code: int) -> None:
    data = msgpack.packb([])
    for _ in range(3000):
        data = msgpack.packb([msgpack.ExtType(code, data)])

    with pytest.raises(ProtocolError, match="deep"):
        Codec().decode(data)


def test_a_codec_works_after_hostile_bytes() -> None:
    codec = Codec()
    for data in (
        *HOSTILE.values(),
        msgpack.packb(msgpack.ExtType(2, msgpack.packb(msgpack.ExtType(2, b"")))),
    ) * 40:
        with pytest.raises(ProtocolError):
            codec.decode(data)

    assert journey(((((1,),),),), codec) == ((((1,),),),)


def test_classes_that_a_peer_makes_up_do_not_pile_up() -> None:
    for number in range(1000):
        Codec().decode(value("enum", "made_up", f"E{number}", "Enum", "A", 1, [["A", 1]]))
    gc.collect()

    made_up = [cls for cls in enum.Enum.__subclasses__() if cls.__module__ == "made_up"]
    assert len(made_up) < 500


@bounded
@given(st.binary(max_size=100))
def test_random_bytes_raise_nothing_but_a_protocol_error(data: bytes) -> None:
    decode_safely(data)


@bounded
@given(st.sampled_from([1, 2, 3, 4, 5, 32, 33, 127]), st.binary(max_size=60))
def test_random_extensions_raise_nothing_but_a_protocol_error(code: int, data: bytes) -> None:
    decode_safely(msgpack.packb(msgpack.ExtType(code, data)))


@pytest.mark.slow
@bounded
@given(
    st.sampled_from(
        [
            "int",
            "complex",
            "set",
            "datetime",
            "time",
            "enum",
            "scalar",
            "objects",
            "namedtuple",
            "dtype",
            "path",
        ]
    ),
    st.lists(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-5, 2**64 - 1)
            | st.floats()
            | st.text(max_size=5)
            | st.binary(max_size=9),
            lambda inner: st.lists(inner, max_size=3),
        ),
        max_size=8,
    ),
)
def test_kinds_with_random_parts_raise_nothing_but_a_protocol_error(kind: str, parts: list[Any]) -> None:
    decode_safely(value(kind, *parts))


@pytest.mark.slow
@bounded
@given(portable.values, st.data())
def test_damaged_messages_raise_nothing_but_a_protocol_error(value: Any, data: st.DataObject) -> None:
    message, buffers = Codec().encode(value)
    damaged = bytearray(message)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))

    decode_safely(bytes(damaged), [memoryview(bytearray(buffer)) for buffer in buffers])
    decode_safely(bytes(damaged[:cut]))


def decode_safely(data: bytes, buffers: list[memoryview] | tuple[()] = ()) -> None:
    try:
        Codec().decode(data, buffers)
    except ProtocolError:
        pass
    except InstrumentServerError as error:
        raise AssertionError("a codec without extensions raises protocol errors only") from error
