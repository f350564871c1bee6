"""What a served object's schema says."""

from __future__ import annotations

import enum
import inspect
from types import ModuleType
from typing import Any

import pytest
import sdk_sample as sdk

from instrumentserver.schema import ObjectClassSchema
from instrumentserver.server.objects.describe import describe_object, shape_of
from instrumentserver.server.objects.exposure import Exposure
from instrumentserver.wire.codec import Codec


def described(thing: Any, root: Any = sdk, expose: list[str] | None = None) -> ObjectClassSchema:
    """Return the schema of a thing, as it arrives."""
    schema = describe_object(thing, Exposure(root, expose), lambda value: True)
    arrived = Codec().decode(*Codec().encode(schema))
    assert isinstance(arrived, ObjectClassSchema)
    return arrived


class Touchy:
    """Has a property that must not be read, and other members of all kinds."""

    DEPTH = 3
    MODES = ["a"]
    level = 0.5

    def __init__(self) -> None:
        self.asked = 0

    @property
    def reading(self) -> int:
        """Read the hardware."""
        self.asked += 1
        return self.asked

    async def later(self) -> None:
        """Do it later."""

    @staticmethod
    async def static_later(count: int = 2) -> None:
        """Do it later, too."""

    def only(this, a: int, /, b: str = "x", *c: Any, d: float, **e: Any) -> bool:
        """Take arguments of all kinds."""
        return True


def test_a_module_has_its_functions_classes_values_and_enums() -> None:
    schema = described(sdk)
    assert (schema.kind, schema.name, schema.classes) == ("module", "sdk_sample", ["sdk_sample"])
    assert {method.name for method in schema.methods} >= {"createDevice", "freeDevice", "area"}
    assert [member.name for member in schema.class_members][:2] == ["Counter", "Device"]
    assert schema.constants["Resolution"] is sdk.Resolution
    assert schema.constants["CHANNEL_UNUSED"] == sdk.CHANNEL_UNUSED
    assert [each.name for each in schema.properties] == ["opened", "settings"]
    assert not schema.is_open


def test_describing_reads_no_property() -> None:
    touchy = Touchy()
    schema = described(touchy, touchy)
    assert touchy.asked == 0
    assert {each.name: (each.doc, each.is_settable) for each in schema.properties} == {
        "reading": ("Read the hardware.", False),
        "DEPTH": (None, True),
        "MODES": (None, True),
        "level": (None, True),
    }
    assert schema.constants == {}
    assert described(Touchy, Touchy).constants == {"DEPTH": 3}


def test_async_methods_are_told() -> None:
    schema = described(Touchy(), Touchy())
    assert {method.name: method.is_async for method in schema.methods} == {
        "later": True,
        "static_later": True,
        "only": False,
    }


def test_a_signature_is_without_the_object_itself_whatever_it_is_called() -> None:
    methods = {method.name: method for method in described(Touchy(), Touchy()).methods}
    only, static = methods["only"].signature, methods["static_later"].signature
    assert only is not None
    assert static is not None
    kinds = [inspect._ParameterKind(argument.kind).name for argument in only.arguments]
    assert kinds == [
        "POSITIONAL_ONLY",
        "POSITIONAL_OR_KEYWORD",
        "VAR_POSITIONAL",
        "KEYWORD_ONLY",
        "VAR_KEYWORD",
    ]
    assert [argument.name for argument in static.arguments] == ["count"]


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (sdk.Device(), "object"),
        (sdk.Device, "class"),
        (sdk.createDevice, "function"),
        (sdk.Device().getSerial, "function"),
        (sdk.Stream().numbers(1), "generator"),
        (iter([1]), "iterator"),
        (sdk.Stream().ticks(1), "async_generator"),
    ],
    ids=["object", "class", "function", "method", "generator", "iterator", "async generator"],
)
def test_a_schema_says_of_what_kind_a_thing_is(thing: Any, kind: str) -> None:
    assert described(thing).kind == kind


def test_a_class_has_what_belongs_to_it_and_not_what_belongs_to_its_objects() -> None:
    schema = described(sdk.Device)
    assert [method.name for method in schema.methods] == ["make", "scan"]
    assert [member.name for member in schema.class_members] == ["Port"]
    assert schema.properties == []
    assert schema.call is not None


def test_special_methods_are_those_that_the_class_defines() -> None:
    assert described(sdk.Device()).special == []
    assert {"__len__", "__getitem__", "__call__", "__float__"} <= set(
        described(sdk.Counter(sdk.Device(), [])).special
    )
    assert "__repr__" in described(sdk.FastCounter(sdk.Device(), [])).special
    assert "__eq__" not in described(sdk.Span(1, 2)).special


def test_an_enum_of_too_many_members_to_travel_is_a_class_with_its_members() -> None:
    module = ModuleType("native_sdk")
    module.Many = enum.IntEnum("Many", [f"m{number}" for number in range(300)], module="native_sdk")  # type: ignore[attr-defined]
    schema = described(module, module)
    assert schema.constants == {}
    assert [member.name for member in schema.class_members] == ["Many"]
    inside = described(module.Many, module)
    assert "m299" in [each.name for each in inside.properties]
    assert Exposure(module).get(module.Many, "m299") == 300


def test_patterns_narrow_what_is_described() -> None:
    schema = described(sdk, expose=["create*", "Device.getSerial"])
    assert [method.name for method in schema.methods] == ["createDevice"]
    assert schema.constants == {}
    device = described(sdk.Device(), expose=["create*", "Device.getSerial"])
    assert [method.name for method in device.methods] == ["getSerial"]
    assert (device.properties, device.special, device.class_members) == ([], [], [])


def test_things_of_one_class_have_one_schema() -> None:
    one, other = sdk.Device(), sdk.Device()
    assert shape_of(one) == shape_of(other)
    assert shape_of(one.getSerial) == shape_of(other.getSerial) != shape_of(one.same)
    assert len({shape_of(thing) for thing in (sdk, sdk.Device, one, sdk.createDevice, sdk.freeDevice)}) == 5
