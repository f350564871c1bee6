from __future__ import annotations

import enum
import sys
import textwrap
from collections import Counter, defaultdict, deque, namedtuple
from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType, ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import ruamel.yaml
from drivers import Plain
from fingerprints import fingerprint
from portable import Bits, Color, Coupling, Mode, Point, Speed, Status

from instrumentserver import Server
from instrumentserver.errors import NotPortable
from instrumentserver.wire import values
from instrumentserver.wire.codec import Codec


def journey(value: Any) -> Any:
    return Codec().decode(Codec().encode(value)[0])


@pytest.fixture
def elsewhere() -> Iterator[ModuleType]:
    """Return a module that can be taken away, as if the values had gone to a process without it."""
    module = ModuleType("elsewhere")
    sys.modules["elsewhere"] = module
    yield module
    sys.modules.pop("elsewhere", None)


def dumped_elsewhere(elsewhere: ModuleType, value: Any) -> bytes:
    """Return the message for a value whose class the receiver does not have."""
    kind = type(value)
    kind.__module__ = "elsewhere"
    setattr(elsewhere, kind.__qualname__, kind)
    message = Codec().encode(value)[0]
    del sys.modules["elsewhere"]
    return message


def test_the_first_item_names_the_kind() -> None:
    assert values.form(1j) == ["complex", 0.0, 1.0]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        values.load("pickle", b"")


# Times


class Wandering(tzinfo):
    """A time zone of somebody's own, without a name."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else timedelta(minutes=17)

    def tzname(self, at: datetime | None) -> str | None:
        return None

    def dst(self, at: datetime | None) -> timedelta | None:
        return None


def test_a_time_zone_of_another_library_arrives_fixed() -> None:
    arrived = journey(datetime(2024, 1, 1, 12, tzinfo=Wandering()))

    assert fingerprint(arrived) == fingerprint(
        datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(minutes=17)))
    )


def test_a_time_zone_without_an_offset_is_refused() -> None:
    with pytest.raises(NotPortable, match="use zoneinfo"):
        values.dump(time(12, tzinfo=Wandering()))


def test_a_zone_of_zoneinfo_is_the_same_object() -> None:
    zone = ZoneInfo("Europe/Copenhagen")

    assert journey(datetime(2024, 7, 1, tzinfo=zone)).tzinfo is zone


# Enums


@pytest.mark.parametrize(
    "member",
    [Color.GREEN, Speed.FAST, Mode.DC, Coupling.AC, Status.READY, Status.READY | Status.ERROR, Bits(65)],
)
def test_a_member_is_found_in_its_class(member: enum.Enum) -> None:
    assert journey(member) is member


def make(kind: Any, members: dict[str, Any], **kwargs: Any) -> Any:
    return kind("Made", members, **kwargs)


@pytest.mark.parametrize(
    ("member", "base", "equal"),
    [
        (make(enum.Enum, {"A": 1, "B": (1, "x")})["B"], enum.Enum, None),
        (make(enum.IntEnum, {"A": 1})["A"], enum.IntEnum, 1),
        (make(enum.StrEnum, {"A": "a"})["A"], enum.StrEnum, "a"),
        (make(enum.Enum, {"A": "a"}, type=str)["A"], str, "a"),
        (make(enum.Enum, {"A": 1.5}, type=float)["A"], float, 1.5),
        (make(enum.IntFlag, {"A": 1, "B": 2})(3), enum.IntFlag, 3),
        (make(enum.Flag, {"A": 1, "B": 2})(3), enum.Flag, None),
    ],
    ids=["Enum", "IntEnum", "StrEnum", "str", "float", "IntFlag", "Flag"],
)
def test_a_member_of_a_class_that_is_not_here_arrives_in_a_stand_in(
    elsewhere: ModuleType, member: enum.Enum, base: type, equal: Any
) -> None:
    arrived = Codec().decode(dumped_elsewhere(elsewhere, member))

    assert isinstance(arrived, base)
    assert (type(arrived).__name__, arrived.name, arrived.value) == ("Made", member.name, member.value)
    assert equal is None or arrived == equal


def test_a_stand_in_has_all_members(elsewhere: ModuleType) -> None:
    member = make(enum.Enum, {"A": 1, "B": 2, "ALIAS": 1})["A"]

    arrived = Codec().decode(dumped_elsewhere(elsewhere, member))

    assert list(type(arrived).__members__) == ["A", "B", "ALIAS"]


def test_members_of_one_stand_in_can_be_compared(elsewhere: ModuleType) -> None:
    kind = make(enum.Enum, {"A": 1, "B": 2})
    message = dumped_elsewhere(elsewhere, kind["A"])

    assert Codec().decode(message) is Codec().decode(message)


def test_an_enum_whose_values_cannot_travel_arrives_where_its_class_is(elsewhere: ModuleType) -> None:
    kind = make(enum.Enum, {"A": ModuleType, "B": object()})
    kind.__module__ = "elsewhere"
    elsewhere.Made = kind  # type: ignore[attr-defined]

    assert journey(kind["B"]) is kind["B"]


def test_an_enum_whose_values_cannot_travel_shows_them_elsewhere(elsewhere: ModuleType) -> None:
    member = make(enum.Enum, {"A": ModuleType})["A"]

    assert Codec().decode(dumped_elsewhere(elsewhere, member)).value == "<class 'module'>"


def test_a_member_that_our_version_of_the_class_lacks_arrives_in_a_stand_in(elsewhere: ModuleType) -> None:
    message = dumped_elsewhere(elsewhere, make(enum.Enum, {"A": 1, "NEW": 2})["NEW"])
    old = make(enum.Enum, {"A": 1})
    old.__module__ = "elsewhere"
    elsewhere.Made = old  # type: ignore[attr-defined]
    sys.modules["elsewhere"] = elsewhere

    assert Codec().decode(message).name == "NEW"


def test_an_enum_of_many_members_sends_only_the_one(elsewhere: ModuleType) -> None:
    member = make(enum.IntEnum, {f"A{number}": number for number in range(5000)})["A7"]

    message = dumped_elsewhere(elsewhere, member)

    assert len(message) < 200
    assert Codec().decode(message) == 7


# Named tuples


def test_a_named_tuple_is_of_its_class() -> None:
    assert type(journey(Point(1.5, y=[1]))) is Point


def test_a_named_tuple_of_a_class_that_is_not_here_keeps_its_fields(elsewhere: ModuleType) -> None:
    arrived = Codec().decode(dumped_elsewhere(elsewhere, namedtuple("Made", "x y")(1, 2)))

    assert (type(arrived).__name__, arrived.x, arrived.y) == ("Made", 1, 2)


def test_named_tuples_of_a_class_that_is_not_here_are_of_one_class(elsewhere: ModuleType) -> None:
    message = dumped_elsewhere(elsewhere, namedtuple("Made", "x y")(1, 2))

    assert type(Codec().decode(message)) is type(Codec().decode(message))


def test_a_named_tuple_whose_class_has_other_fields_here_keeps_its_own(elsewhere: ModuleType) -> None:
    message = dumped_elsewhere(elsewhere, namedtuple("Made", "x y")(1, 2))
    elsewhere.Made = namedtuple("Made", "y x")  # type: ignore[attr-defined]
    sys.modules["elsewhere"] = elsewhere

    assert Codec().decode(message)._asdict() == {"x": 1, "y": 2}


# Refusals


class Stranger:
    """Of no type of the table."""

    def __repr__(self) -> str:
        return "stranger " * 100

    def method(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (
            Stranger(),
            r"^stranger .*\.\.\. of class .*test_values\.Stranger cannot travel .*send a dict.*keep the object on",
        ),
        (Stranger, r"^Stranger \(builtins\.type\) cannot travel .*make it a method of the instrument"),
        (Stranger().method, r"^Stranger\.method .*make it a method"),
        (lambda: 0, r"<lambda> \(builtins\.function\) cannot travel"),
        (len, r"^len \(builtins\.builtin_function_or_method\)"),
        (sys.float_info, r"float_info.* cannot travel"),
    ],
    ids=["object", "class", "method", "lambda", "built-in", "structure"],
)
def test_a_refusal_names_the_value_and_the_remedy(value: Any, says: str) -> None:
    with pytest.raises(NotPortable, match=says):
        values.dump(value)


def test_a_value_is_shown_in_a_few_characters() -> None:
    assert values.shown("x" * 1000, 10) == "'xxxxxx..."


def test_a_value_whose_repr_fails_is_shown_by_its_class() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert "Shy whose repr fails: RuntimeError" in values.shown(Shy())


def test_a_decimal_of_many_digits_arrives_without_delay() -> None:
    number = Decimal("1E+999999")

    assert fingerprint(journey(number)) == fingerprint(number)


# Containers of other kinds


class Settings(dict[str, Any]):
    """A dict of a driver's own class."""


class Readings(list[float]):
    """A list of a driver's own class."""


def from_yaml() -> Any:
    """Return what a YAML file holds as QCoDeS's stations read it, with all that carries comments."""
    text = """
    # a station
    gain: 2      # of the amplifier
    0x1F: hex
    levels: [1, 2.5, -1e-3, 0o17, 1_000]
    name: "quoted"
    block: |
      two
      lines
    when: 2024-05-06 07:08:09
    deep: &anchor
      - {a: null, b: true}
    again: *anchor
    """
    return ruamel.yaml.YAML().load(textwrap.dedent(text))


def test_what_comes_from_a_yaml_file_arrives_plain() -> None:
    loaded = from_yaml()
    assert type(loaded) is not dict
    arrived = journey(loaded)
    assert arrived == {
        "gain": 2,
        31: "hex",
        "levels": [1, 2.5, -1e-3, 15, 1000],
        "name": "quoted",
        "block": "two\nlines\n",
        "when": datetime(2024, 5, 6, 7, 8, 9),
        "deep": [{"a": None, "b": True}],
        "again": [{"a": None, "b": True}],
    }
    assert types_of(arrived) <= {dict, list, int, float, str, bool, type(None), datetime}


def types_of(value: Any) -> set[type]:
    if isinstance(value, dict):
        return {type(value)}.union(*map(types_of, value), *map(types_of, value.values()))
    return {type(value)}.union(*map(types_of, value)) if isinstance(value, list) else {type(value)}


YAML_VALUES = {
    "single": "'a'",
    "double": '"a"',
    "folded": ">\n  a\n  b",
    "literal": "|\n  a",
    "hex": "0x1F",
    "octal": "0o17",
    "binary": "0b11",
    "underscore": "1_000",
    "exponent": "1.5e-3",
    "bool": "true",
    "null": "~",
    "date": "2024-05-06",
    "time": "2024-05-06T07:08:09.5Z",
    "set": "!!set {a, b}",
    "ordered": "!!omap [a: 1]",
}


@pytest.mark.parametrize("kind", YAML_VALUES)
@pytest.mark.parametrize("reader", ["rt", "safe"])
def test_every_kind_of_yaml_value_arrives(kind: str, reader: str) -> None:
    loaded = ruamel.yaml.YAML(typ=reader).load(f"a: {YAML_VALUES[kind]}")
    arrived = journey(loaded)
    expected = ruamel.yaml.YAML(typ="safe", pure=True).load(f"a: {YAML_VALUES[kind]}")
    if kind == "set":
        arrived, expected = {"a": sorted(arrived["a"])}, {"a": ["a", "b"]}
    elif kind == "time":
        arrived = {"a": arrived["a"].replace(tzinfo=None)}
        expected = {"a": datetime(2024, 5, 6, 7, 8, 9, 500_000)}
    elif kind == "ordered":
        arrived, expected = {"a": dict(arrived["a"])}, {"a": {"a": 1}}
    assert arrived == expected


CONTAINERS: list[tuple[Any, Any]] = [
    (Counter("aab"), {"a": 2, "b": 1}),
    (defaultdict(list, {"a": [1]}), {"a": [1]}),
    (deque([1, 2], maxlen=2), [1, 2]),
    ({"a": 1, "b": 2}.keys(), ["a", "b"]),
    ({"a": 1, "b": 2}.values(), [1, 2]),
    ({"a": 1, "b": 2}.items(), [("a", 1), ("b", 2)]),
    (MappingProxyType({"a": (1,)}), {"a": (1,)}),
    (Settings(a=1), {"a": 1}),
    (Readings([1.0, 2.0]), [1.0, 2.0]),
]


@pytest.mark.parametrize(("value", "content"), CONTAINERS, ids=lambda value: type(value).__name__)
def test_a_container_of_another_kind_arrives_as_its_content(value: Any, content: Any) -> None:
    arrived = journey({"deep": [value]})["deep"][0]
    assert arrived == content
    assert type(arrived) is type(content)


def test_a_container_is_not_changed_by_being_sent() -> None:
    default: defaultdict[str, list[Any]] = defaultdict(list, a=[1])
    ring = deque([1, 2, 3], maxlen=3)
    journey([default, ring])
    assert (default.default_factory, dict(default), ring.maxlen, list(ring)) == (
        list,
        {"a": [1]},
        3,
        [1, 2, 3],
    )


def test_what_cannot_travel_inside_a_container_is_named() -> None:
    for value in (Counter({Stranger(): 1}), deque([Stranger()]), MappingProxyType({"a": Stranger()})):
        with pytest.raises(NotPortable, match=r"^stranger .*cannot travel"):
            journey(value)


def test_methods_return_containers_of_other_kinds(server: Server) -> None:
    class Counting(Plain):
        def tally(self, text: str) -> Counter[str]:
            return Counter(text)

        def kinds(self, *values: Any) -> list[str]:
            return [type(value).__name__ for value in values]

    counting = server.create(Counting, "counting", metadata=from_yaml())
    assert counting.tally("aab") == {"a": 2, "b": 1}
    assert counting.kinds(Counter("a"), deque([1]), from_yaml()) == ["dict", "list", "dict"]
    assert counting.metadata["levels"] == [1, 2.5, -1e-3, 15, 1000]
