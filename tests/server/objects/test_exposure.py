"""What clients may reach of a served object, and what not."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import functools
import importlib.util
import io
import logging
import operator
import os
import pickle
import string
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sdk_sample as sdk

from instrumentserver.errors import NotPortable, UnknownName, UsageError
from instrumentserver.server.objects.exposure import Exposure


@pytest.fixture
def module() -> Exposure:
    """Return the exposure of the sample SDK."""
    return Exposure(sdk)


class Odd:
    """An object with members that lead elsewhere."""

    limit: float
    __slots__ = ("__dict__", "slotted")

    def __init__(self) -> None:
        self.library = ctypes.CDLL(None)
        self.run = subprocess.run
        self.system = os.system
        self.later = functools.partial(os.system, "true")
        self.attribute = operator.attrgetter("__class__")
        self.formatter = string.Formatter()
        self.frame = sys._getframe()
        self.code = Odd.__init__.__code__
        self.spec = importlib.util.find_spec("json")
        self.module = os
        self.text = Text("{0.__class__}")
        self.slotted = 1
        self.own = self.method
        self.made = lambda: 1

    execute = os.system
    remove = staticmethod(os.remove)
    launch = staticmethod(subprocess.run)

    def method(self) -> int:
        """Return 1."""
        return 1

    def stream(self) -> Iterator[int]:
        """Yield 1."""
        yield 1

    def dynamic(self) -> object:
        """Return an object of many names."""
        return Dynamic()


class Text(str):
    """A text of a class of its own."""

    def shout(self) -> str:
        """Return it in capitals."""
        return self.upper()


class Trace(np.ndarray):
    """An array of a class of its own."""


class Fields(ctypes.Structure):
    """What C functions fill in."""

    _fields_ = [("x", ctypes.c_int)]


class Dynamic:
    """Has whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return {"module": os, "value": 3, "_private": "no"}[name]


class Meta(type):
    """A class of classes."""

    def climb(cls) -> list[type]:
        """Return the classes above."""
        return cls.mro()


class Made(metaclass=Meta):
    """A class with a class of its own."""

    LIMIT = 3

    @classmethod
    def make(cls) -> Made:
        """Return one."""
        return cls()

    @property
    def value(self) -> int:
        """A value."""
        return 1


# Names

HOSTILE = [
    *("__class__", "__dict__", "__init__", "__globals__", "__subclasses__", "__reduce__", "__getattribute__"),
    *("_delay", "_listeners", "__module__", "__doc__", "__setattr__", "__hash__", "__eq__", "__format__"),
    *(
        "getSerial.__globals__",
        "device.serial",
        "counter.__func__",
        "a[0]",
        "serial.format",
        ".serial",
        "serial.",
    ),
    *("getattr", "mro", "__mro__", "__bases__", "__import__", "", " serial", "serial ", "sérial\0"),
    *(None, 3, 2.5, ["serial"], {"a": 1}, b"serial", ("serial",), True),
]


@pytest.mark.parametrize("name", HOSTILE, ids=[f"name {number}" for number in range(len(HOSTILE))])
@pytest.mark.parametrize("thing", [sdk, sdk.Device, sdk.Device()], ids=["module", "class", "object"])
def test_a_name_that_is_no_public_member_is_refused_in_every_operation(
    module: Exposure, thing: Any, name: Any
) -> None:
    for use in (
        lambda: module.get(thing, name),
        lambda: module.set(thing, name, 1),
        lambda: module.delete(thing, name),
    ):
        with pytest.raises((AttributeError, TypeError)):
            use()
    if name:
        with pytest.raises((AttributeError, TypeError)):
            module.call(thing, name, [], {})


def test_the_error_says_what_was_asked_for_and_of_what(module: Exposure) -> None:
    with pytest.raises(AttributeError, match=r"'device\.serial' is not a public name.*a Counter.*one name"):
        module.get(sdk.Counter(sdk.Device(), []), "device.serial")
    with pytest.raises(AttributeError, match=r"module sdk_sample has no public member 'os'"):
        module.get(sdk, "os")


def test_public_members_are_read_called_set_and_deleted(module: Exposure) -> None:
    device = module.call(sdk, "createDevice", ["S9"], {})
    assert module.get(device, "serial") == "S9"
    assert module.call(device, "setDelay", [1], {"delay": 7}) == 7
    module.set(device, "delay", 8)
    module.set(device, "comment", "mine")
    assert (module.get(device, "delay"), device.comment) == (8, "mine")
    module.delete(device, "comment")
    assert not hasattr(device, "comment")


@pytest.mark.parametrize(
    "name",
    ["os", "subprocess", "np", "pi", "sqrt", "shell", "run", "quick", "log", "array", "glue", "_secret"],
)
def test_what_a_module_imported_is_not_reached(module: Exposure, name: str) -> None:
    for use in (lambda: module.get(sdk, name), lambda: module.call(sdk, name, [], {})):
        with pytest.raises(AttributeError, match=r"no public member|not a public name"):
            use()


def test_another_module_than_the_root_has_no_members(module: Exposure) -> None:
    with pytest.raises(AttributeError):
        module.get(os, "system")


# What leads into Python or to the system

ODD = ["library", "run", "system", "later", "attribute", "formatter", "frame", "code", "spec", "module"]


@pytest.mark.parametrize("name", ODD)
def test_an_attribute_that_leads_elsewhere_is_refused(name: str) -> None:
    odd = Odd()
    exposure = Exposure(odd)
    with pytest.raises(NotPortable, match="cannot be given to a client"):
        exposure.get(odd, name)
    with pytest.raises(TypeError):
        exposure.call(odd, name, ["true"], {})


@pytest.mark.parametrize("name", ["execute", "remove", "launch"])
def test_a_function_of_another_module_in_a_class_is_refused(name: str) -> None:
    odd = Odd()
    with pytest.raises(NotPortable, match="write a method that calls it"):
        Exposure(odd).call(odd, name, ["true"], {})


@pytest.mark.parametrize(
    "result",
    [
        *(
            os,
            sys._getframe(),
            Odd.method.__code__,
            os.system,
            subprocess.run,
            subprocess.Popen,
            dict,
            object,
        ),
        *(functools.partial(subprocess.run, "true"), functools.partial(functools.partial(eval)), eval, open),
        *("{0}".format, str.format, str.join, "{0}".format_map, dict.fromkeys, object.__init__, Odd().__eq__),
        *(operator.attrgetter("a"), operator.methodcaller("a"), string.Formatter(), string.Template("")),
        *(
            ctypes.CDLL(None),
            ctypes.CDLL(None).abs,
            importlib.util.find_spec("json"),
            pickle.Pickler(io.BytesIO()),
        ),
        *(logging.getLogger("x"), logging.NullHandler(), asyncio.Event(), pd.DataFrame({"a": [1]})),
        *(Made.__dict__["value"], vars(Odd)["remove"], Odd.__dict__["slotted"], super(Odd, Odd())),
        *(
            types.MethodType(os.system, "true"),
            np.random.default_rng,
            logging.getLogger,
            importlib.import_module,
        ),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_result_that_must_not_leave_is_refused(result: Any) -> None:
    with pytest.raises(NotPortable, match="cannot be given to a client"):
        Exposure(Odd()).check_result(result)


@pytest.mark.parametrize(
    "result",
    [
        *(
            Odd(),
            Odd().method,
            Odd().made,
            lambda: 1,
            Odd,
            Made,
            Text("x"),
            iter([1]),
            [].append,
            Odd().stream(),
        ),
        *(functools.partial(lambda: 1), map(abs, [1]), np.random.default_rng(1), contextvars.ContextVar("x")),
        *(Fields(), np.ma.masked_array([1])),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_result_of_the_family_may_leave(result: Any) -> None:
    Exposure(Odd()).check_result(result)


def test_a_generator_offers_its_steps_and_nothing_else() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    stream = exposure.call(odd, "stream", [], {})
    for name in ("gi_frame", "gi_code", "gi_running", "gi_yieldfrom"):
        with pytest.raises((AttributeError, NotPortable)):
            exposure.get(stream, name)
    assert exposure.call(stream, "__next__", [], {}) == ["yielded", 1]
    assert exposure.call(stream, "__next__", [], {}) == ["returned", None]


@pytest.mark.parametrize(
    "function",
    [Odd().method, Odd().made, functools.partial(lambda: 1)],
    ids=["method", "function", "partial"],
)
@pytest.mark.parametrize(
    "name", ["func", "args", "keywords", "cache_clear", "__func__", "__self__", "__code__"]
)
def test_a_function_has_no_attributes(function: Callable[..., Any], name: str) -> None:
    with pytest.raises(AttributeError):
        Exposure(Odd()).get(function, name)


def test_a_function_can_be_called() -> None:
    assert Exposure(Odd()).call(Odd().method, "", [], {}) == 1


def test_a_text_of_a_class_of_its_own_formats_nothing() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    for name in ("format", "format_map"):
        with pytest.raises(AttributeError):
            exposure.call(odd.text, name, [odd], {})
    assert exposure.call(odd.text, "shout", [], {}) == "{0.__CLASS__}"


def test_an_array_of_a_class_of_its_own_writes_no_files(tmp_path: Path) -> None:
    odd = Odd()
    exposure = Exposure(odd)
    array = np.ma.masked_array([1, 2])
    for name in ("tofile", "dump"):
        with pytest.raises((AttributeError, NotImplementedError)):
            exposure.call(array.view(Trace), name, [str(tmp_path / "file")], {})
    assert list(tmp_path.iterdir()) == []
    assert exposure.call(array, "sum", [], {}) == 3


def test_a_structure_has_its_fields() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    fields = Fields(3)
    exposure.set(fields, "x", 4)
    assert exposure.get(fields, "x") == 4
    assert exposure.members(fields) == ["x"]


def test_an_object_that_makes_attributes_up_is_asked_for_public_ones() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    dynamic = odd.dynamic()
    assert exposure.get(dynamic, "value") == 3
    with pytest.raises(NotPortable):
        exposure.get(dynamic, "module")
    with pytest.raises(AttributeError):
        exposure.get(dynamic, "_private")


# Classes


def test_a_class_offers_what_belongs_to_it_and_not_what_belongs_to_its_objects() -> None:
    exposure = Exposure(Made)
    assert exposure.get(Made, "LIMIT") == 3
    assert type(exposure.call(Made, "make", [], {})) is Made
    assert type(exposure.call(Made, "", [], {})) is Made
    for name in ("climb", "mro", "value", "register"):
        with pytest.raises(AttributeError):
            exposure.get(Made, name)


def test_a_method_is_not_called_through_the_class_with_an_object_of_the_client_s_choice(
    module: Exposure,
) -> None:
    with pytest.raises(AttributeError, match="belongs to the objects of class Device"):
        module.call(sdk.Device, "getSerial", [sdk.Stream()], {})


def test_a_class_that_is_not_offered_makes_nothing(module: Exposure) -> None:
    for cls in (subprocess.Popen, ctypes.CDLL, dict):
        with pytest.raises(NotPortable):
            module.call(cls, "", [], {})


def test_classes_of_a_module_have_paths(module: Exposure) -> None:
    assert module.class_path(sdk.Counter) == "Counter"
    assert module.class_path(sdk.Device.Port) == "Device.Port"
    assert module.class_at("Device.Port") is sdk.Device.Port
    assert module.class_path(subprocess.Popen) is None


@pytest.mark.parametrize(
    "path", ["OrderedDict", "os", "Device.__class__", "Device.getSerial", "Nothing", "", "__class__"]
)
def test_a_path_leads_to_nothing_but_classes_that_are_offered(module: Exposure, path: str) -> None:
    with pytest.raises(UnknownName):
        module.class_at(path)


# Special methods


def test_special_methods_of_a_class_are_called(module: Exposure) -> None:
    counter = sdk.Counter(sdk.Device(), [4, 5])
    assert module.call(counter, "__len__", [], {}) == 2
    assert module.call(counter, "__getitem__", [slice(1)], {}) == [4]
    assert module.call(counter, "", [2], {}) == 18


@pytest.mark.parametrize(
    "name", ["__len__", "__call__", "__enter__", "__next__", "__add__", "__lt__", "__iter__"]
)
def test_special_methods_that_a_class_does_not_define_are_not_there(module: Exposure, name: str) -> None:
    with pytest.raises(AttributeError):
        module.call(sdk.Device(), name, [], {})


@pytest.mark.parametrize(
    "name", ["__repr__", "__call__", "__iter__", "__getitem__", "__dir__", "__or__", "__prepare__"]
)
def test_special_methods_of_classes_and_modules_are_not_reached(module: Exposure, name: str) -> None:
    for thing in (sdk, sdk.Device, sdk.Resolution):
        if name == "__dir__":
            assert module.call(thing, name, [], {}) == []
        else:
            with pytest.raises(AttributeError):
                module.call(thing, name, [], {})


def test_an_object_lists_its_public_attributes(module: Exposure) -> None:
    names = module.call(sdk.Device(), "__dir__", [], {})
    assert {"serial", "comment"} <= set(names)
    assert not [name for name in names if name.startswith("_")]


# Setting and deleting


@pytest.mark.parametrize("name", ["getSerial", "scan", "make", "Port", "nothing_like_this"])
def test_methods_classes_and_what_is_not_there_are_not_set(module: Exposure, name: str) -> None:
    device = sdk.Device()
    with pytest.raises(AttributeError):
        module.set(device, name, 1)


def test_a_property_without_setter_is_not_set(module: Exposure) -> None:
    with pytest.raises(AttributeError):
        module.set(sdk.Device(), "is_freed", True)


@pytest.mark.parametrize("thing", [sdk, sdk.Device, sdk.createDevice], ids=["module", "class", "function"])
def test_members_of_modules_classes_and_functions_are_not_set_or_deleted(
    module: Exposure, thing: Any
) -> None:
    for name in ("settings", "CHANNELS", "createDevice", "attribute"):
        with pytest.raises(AttributeError):
            module.set(thing, name, 1)
        with pytest.raises(AttributeError):
            module.delete(thing, name)


def test_attributes_that_a_class_declares_or_keeps_in_slots_are_set() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    exposure.set(odd, "limit", 2.0)
    exposure.set(odd, "slotted", 3)
    assert (odd.limit, odd.slotted) == (2.0, 3)


def test_methods_and_class_attributes_are_not_deleted(module: Exposure) -> None:
    for name in ("getSerial", "CHANNELS", "delay_", "is_freed"):
        with pytest.raises(AttributeError):
            module.delete(sdk.Device(), name)


# Narrowing


def test_patterns_leave_what_they_name() -> None:
    exposure = Exposure(sdk, ["create*", "Device"])
    device = exposure.call(sdk, "createDevice", [], {})
    assert exposure.call(device, "getSerial", [], {}) == "S1"
    assert exposure.members(sdk) == ["Device", "createDevice"]
    for name in ("freeDevice", "Counter", "CHANNEL_UNUSED"):
        with pytest.raises(AttributeError):
            exposure.get(sdk, name)
    assert exposure.class_path(sdk.Counter) is None


def test_patterns_with_a_class_narrow_its_objects() -> None:
    exposure = Exposure(sdk, ["*", "Device.get*", "Counter.__len__"])
    device = sdk.Device()
    assert exposure.call(device, "getSerial", [], {}) == "S1"
    for name in ("setDelay", "serial", "delay"):
        with pytest.raises(AttributeError):
            exposure.get(device, name)
    counter = sdk.FastCounter(device, [1])
    assert exposure.call(counter, "__len__", [], {}) == 1
    for name in ("__getitem__", "__call__", "getData"):
        with pytest.raises(AttributeError):
            exposure.call(counter, name, [0], {})
    assert exposure.call(sdk.Stream(), "absolutes", [], {})


def test_patterns_of_an_object_s_own_attributes() -> None:
    device = sdk.Device()
    exposure = Exposure(device, ["serial", "getSerial"])
    assert exposure.call(device, "__dir__", [], {}) == ["serial"]
    exposure.set(device, "serial", "S7")
    assert exposure.call(device, "getSerial", [], {}) == "S7"
    with pytest.raises(AttributeError):
        exposure.call(device, "setDelay", [1], {})


@pytest.mark.parametrize(
    ("expose", "named"),
    [
        (["createDevice", "creatDevice"], "creatDevice"),
        (["os"], "os"),
        (["_secret"], "_secret"),
        (["Device.getSeriall"], "getSeriall"),
        (["Nothing.get*"], "Nothing"),
        (["Device.get.x"], "get.x"),
        ([""], "''"),
        ([".x"], ".x"),
        ([3], "3"),
        ("createDevice", "one text"),
    ],
)
def test_a_pattern_that_matches_nothing_is_named(expose: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Exposure(sdk, expose)


def test_no_pattern_widens() -> None:
    exposure = Exposure(sdk, ["*", "*.*"])
    for name in ("os", "_secret", "shell"):
        with pytest.raises(AttributeError):
            exposure.get(sdk, name)
    with pytest.raises(AttributeError):
        exposure.get(sdk.Device(), "_delay")


def test_patterns_of_an_object_s_class_count_for_the_root_too() -> None:
    device = sdk.Device()
    exposure = Exposure(device, ["serial", "Device.get*"])
    assert exposure.call(device, "getSerial", [], {}) == "S1"
    assert exposure.get(device, "serial") == "S1"
    with pytest.raises(AttributeError):
        exposure.call(device, "setDelay", [1], {})


def test_classes_above_an_object_s_own_open_no_package_of_python() -> None:
    class Working(threading.Thread):
        """A thread."""

    exposure = Exposure(Working())
    with pytest.raises(NotPortable):
        exposure.check_result(threading.excepthook)
    with pytest.raises(NotPortable):
        exposure.check_result(threading.Timer)
    exposure.check_result(Working)


def test_what_is_left_of_other_objects_is_not_left_of_the_root_of_the_same_class() -> None:
    device = sdk.Device()
    exposure = Exposure(device, ["same", "getSerial"])
    other = sdk.Device()
    for _ in range(2):
        assert exposure.call(other, "setDelay", [1, 5], {}) == 5
        assert exposure.get(other, "delay") == 5
        for name in ("setDelay", "delay"):
            with pytest.raises(AttributeError):
                exposure.get(device, name)
        with pytest.raises(AttributeError):
            exposure.call(device, "setDelay", [1, 5], {})


def test_an_object_s_own_function_in_place_of_a_method_is_checked() -> None:
    odd = Odd()
    exposure = Exposure(odd)
    assert exposure.call(odd, "method", [], {}) == 1
    odd.method = os.system  # type: ignore[assignment]
    for use in (lambda: exposure.call(odd, "method", ["true"], {}), lambda: exposure.get(odd, "method")):
        with pytest.raises(NotPortable):
            use()
