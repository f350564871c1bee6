"""What proxies of served objects look like: real classes, functions, properties and enums."""

from __future__ import annotations

import copy
import enum
import inspect
import pickle
import pydoc
from typing import Any

import numpy as np
import pytest

from instrumentserver import Server
from instrumentserver.errors import NotPortable, RemoteError
from instrumentserver.objects import RemoteObject

# Modules


def test_a_module_offers_its_functions_classes_and_values(sdk: Any) -> None:
    assert sdk.createDevice("S7").getSerial() == "S7"
    assert sdk.CHANNEL_UNUSED == -134217728
    assert sdk.settings == {"rate": 10}
    assert sdk.DEFAULT_RANGES == (0.1, 1.0, 10.0)


def test_tab_completion_knows_what_a_module_offers_and_nothing_that_it_imported(sdk: Any) -> None:
    names = dir(sdk)
    assert {"createDevice", "Device", "Resolution", "CHANNEL_UNUSED", "settings", "uri"} <= set(names)
    assert not {"os", "subprocess", "np", "pi", "shell", "log", "_secret", "_call", "_link"} & set(names)


def test_what_a_module_does_not_offer_is_not_there(sdk: Any) -> None:
    for name in ("os", "subprocess", "_secret", "nothing", "__path__", "__all__"):
        with pytest.raises(AttributeError, match=name):
            getattr(sdk, name)


def test_values_of_a_module_are_those_of_now(sdk: Any) -> None:
    sdk.createDevice("first")
    sdk.createDevice("second")
    assert sdk.opened[-2:] == ["first", "second"]


# Functions and methods


def test_functions_have_names_docstrings_and_signatures(sdk: Any) -> None:
    function = sdk.createDevice
    assert function.__name__ == "createDevice"
    assert function.__doc__ == "Return a new device."
    text = "(serial: 'str' = 'S1', resolution: 'Resolution' = <Resolution.Standard: 0>) -> 'Device'"
    assert str(inspect.signature(function)) == text


def test_methods_have_names_docstrings_and_signatures(sdk: Any) -> None:
    method = sdk.createDevice().setDelay
    assert method.__qualname__ == "Device.setDelay"
    assert "picoseconds" in (inspect.getdoc(method) or "")
    signature = inspect.signature(method)
    assert list(signature.parameters) == ["channel", "delay", "unit"]
    assert signature.parameters["unit"].kind is inspect.Parameter.KEYWORD_ONLY


def test_help_shows_a_class_as_it_is(sdk: Any) -> None:
    text = pydoc.plain(pydoc.render_doc(sdk.createDevice()))
    assert "A device with channels." in text
    assert "setDelay(self, channel: 'int', delay: 'int' = 0, *, unit: 'str' = 'ps') -> 'int'" in text
    assert "The delay, picoseconds." in text


def test_arguments_by_position_and_by_name_arrive_as_such(sdk: Any) -> None:
    device = sdk.createDevice(serial="S8", resolution=sdk.Resolution.HighResB)
    assert device.setDelay(3, delay=12) == 12
    assert device.resolution is sdk.Resolution.HighResB


def test_functions_in_results_are_called_there(sdk: Any) -> None:
    device = sdk.createDevice("S5")
    assert device.maker()(41) == 42
    assert device.bound()() == "S5"
    assert dir(device.maker()) == dir(device.bound())
    with pytest.raises(AttributeError):
        device.maker().__globals__["os"]


# Objects


def test_attributes_that_only_the_object_has_are_found(sdk: Any) -> None:
    device = sdk.createDevice("S4")
    assert (device.serial, device.comment) == ("S4", "")
    assert {"serial", "comment", "delay", "getSerial"} <= set(dir(device))
    assert hasattr(device, "serial")
    assert not hasattr(device, "_delay")
    assert not hasattr(device, "nothing")


def test_attributes_and_properties_are_set_there(sdk: Any) -> None:
    device = sdk.createDevice()
    device.delay = 30
    device.comment = "hello"
    assert (device.delay, device.comment) == (30, "hello")
    assert type(device).delay.__doc__ == "The delay, picoseconds."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("is_freed", "setter"),
        ("getSerial", "is a method"),
        ("commment", "no attribute 'commment' that could be set"),
        ("uri", "uri"),
    ],
)
def test_what_cannot_be_set_says_so(sdk: Any, name: str, message: str) -> None:
    with pytest.raises(AttributeError, match=message):
        setattr(sdk.createDevice(), name, 1)


def test_members_of_modules_and_classes_are_not_set_or_deleted(sdk: Any) -> None:
    for thing, name in ((sdk, "settings"), (sdk, "createDevice"), (sdk.Device, "CHANNELS")):
        with pytest.raises(AttributeError, match="cannot be set"):
            setattr(thing, name, 1)
        with pytest.raises(AttributeError, match="cannot be deleted"):
            delattr(thing, name)
    assert sdk.settings == {"rate": 10}


def test_an_attribute_is_deleted_there(sdk: Any) -> None:
    device = sdk.createDevice()
    del device.comment
    assert not hasattr(device, "comment")


def test_an_error_of_a_property_arrives_as_itself(sdk: Any) -> None:
    with pytest.raises(AttributeError, match="the sensor is not fitted"):
        sdk.createDevice().broken  # noqa: B018
    device = sdk.createDevice()
    with pytest.raises(RemoteError, match="delay -1 is negative"):
        device.delay = -1


def test_one_object_has_one_proxy(sdk: Any) -> None:
    device = sdk.createDevice()
    assert device.same() is device
    assert device.counter(1).device is device
    assert copy.copy(device) is device
    assert device in {device: 1}


def test_objects_inside_other_things_are_proxies(sdk: Any) -> None:
    found = sdk.createDevice().ports()
    assert [port.number for port in found["all"]] == [1, 2]
    assert found["first"][0].number == 1
    assert found["first"][1] == 5


def test_proxies_anywhere_in_arguments_arrive_as_the_objects(sdk: Any) -> None:
    device = sdk.createDevice()
    assert sdk.describe(device, [device], {"d": (device,)}, it=device) == ["Device", "list", "dict", "Device"]
    assert sdk.is_same(one=device, other=device.counter().getDevice())


def test_arrays_come_by_value(sdk: Any) -> None:
    data = sdk.createDevice().counter(1, 2).getData()
    assert type(data) is np.ndarray
    assert data.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_proxy_shows_its_class_and_where_it_is(sdk: Any, server: Server) -> None:
    device = sdk.createDevice()
    assert repr(device) == f"<Device at {device.uri}>"
    assert repr(sdk) == f"<sdk_sample at unix:{server.name}/sdk>"
    assert repr(sdk.Device) == f"<class Device at unix:{server.name}/sdk.Device>"
    assert repr(sdk.FastCounter(device, [2])) == "FastCounter of [2]"


def test_a_proxy_of_something_that_has_gone_is_shown_all_the_same(sdk: Any, server: Server) -> None:
    counter = sdk.FastCounter(sdk.createDevice(), [2])
    server.unserve("sdk")
    assert repr(counter).startswith(f"<FastCounter at {counter.uri}: ")


# Special methods


def test_special_methods_are_passed_on(sdk: Any) -> None:
    device = sdk.createDevice()
    counter = device.counter(1, 2, 3)
    assert (len(counter), counter[0], counter[1:], counter[-1]) == (3, 1, [2, 3], 3)
    counter[0] = 9
    del counter[1]
    assert list(counter) == [9, 3]
    assert 9 in counter
    assert 7 not in counter
    assert counter(2) == 24
    assert float(counter) == 12.0
    assert list(counter + device.counter(5)) == [9, 3, 5]
    assert device.counter() < counter
    assert bool(counter)
    assert not device.counter()
    assert not sdk.FastCounter(device, [1])


def test_special_methods_that_a_class_does_not_have_are_errors_of_python(sdk: Any) -> None:
    device = sdk.createDevice()
    for use in (len, iter, lambda it: it[0], lambda it: it(), lambda it: it + 1, int, lambda it: 1 in it):
        with pytest.raises(TypeError):
            use(device)
    with pytest.raises(TypeError, match="unsupported operand"):
        device.counter(1) + 3
    assert bool(device)


# Classes


def test_a_class_makes_objects_there(sdk: Any) -> None:
    device = sdk.Device("S3", resolution=sdk.Resolution.HighResA)
    assert (device.serial, device.resolution) == ("S3", sdk.Resolution.HighResA)
    assert sdk.Device is sdk.Device
    assert sdk.Device.__name__ == "Device"
    assert sdk.Device.__doc__.startswith("A device with channels.")
    assert list(inspect.signature(sdk.Device).parameters) == ["serial", "resolution"]


def test_a_class_has_static_and_class_methods_constants_and_classes_inside(sdk: Any) -> None:
    assert sdk.Device.scan() == ["S1", "S2"]
    assert sdk.Device.make("S6").serial == "S6"
    assert sdk.Device.CHANNELS == sdk.createDevice().CHANNELS == 8
    assert sdk.Device.Edge.Rising == 1
    assert sdk.Device.Port(4).number == 4
    assert not hasattr(sdk.Device, "getSerial")
    assert not hasattr(sdk.Device, "mro")


def test_isinstance_asks_the_class_on_the_server(sdk: Any) -> None:
    device = sdk.createDevice()
    fast = sdk.FastCounter(device, [])
    assert isinstance(device, sdk.Device)
    assert isinstance(fast, sdk.Counter)
    assert isinstance(fast, (sdk.Device, sdk.FastCounter))
    assert not isinstance(device.counter(), sdk.FastCounter)
    assert not isinstance(sdk.Device, sdk.Device)
    assert not isinstance(3, sdk.Device)
    assert issubclass(sdk.FastCounter, sdk.Counter)
    assert not issubclass(sdk.Counter, sdk.FastCounter)


def test_a_client_with_the_sdk_finds_its_class_claimed(server: Server) -> None:
    import sdk_sample

    sdk = server.serve("sdk_sample", "sdk")
    device = sdk.createDevice("S2", sdk_sample.Resolution.HighResA)
    assert isinstance(device, sdk_sample.Device)
    assert issubclass(type(device), RemoteObject)
    assert device.resolution is sdk_sample.Resolution.HighResA
    assert sdk.Resolution is sdk_sample.Resolution
    assert isinstance(sdk_sample.Device(), sdk.Device)
    with pytest.raises(sdk_sample.DeviceError, match="broken"):
        sdk.fail()


def test_a_class_travels_as_an_argument(sdk: Any) -> None:
    assert sdk.is_same(sdk.Device, sdk.Device)
    assert sdk.echo(sdk.Device) is sdk.Device
    assert pickle.loads(pickle.dumps(sdk.Device)) is sdk.Device


# Enums


def test_enums_compare_print_and_combine_without_the_sdk(sdk: Any) -> None:
    resolution, edge = sdk.Resolution, sdk.Edge
    assert isinstance(resolution, enum.EnumType)
    assert [member.name for member in resolution] == ["Standard", "HighResA", "HighResB"]
    assert str(resolution.HighResA) == "Resolution.HighResA"
    assert repr(resolution.HighResA) == "<Resolution.HighResA: 1>"
    assert resolution(1) is resolution["HighResA"] is resolution.HighResA
    assert resolution.__doc__ == "How finely time is measured."
    assert edge.Rising | edge.Falling == edge.All == 3
    assert edge.Rising in edge.All
    assert sdk.Resolution is resolution


def test_enum_members_come_and_go_as_what_they_are(sdk: Any) -> None:
    device = sdk.createDevice("S1", sdk.Resolution.HighResB)
    assert device.resolution is sdk.Resolution.HighResB
    assert sdk.is_same(device.resolution, sdk.Resolution.HighResB)
    assert sdk.echo({sdk.Edge.All: [sdk.Edge.Rising]}) == {3: [1]}
    assert pickle.loads(pickle.dumps(device.resolution)) is sdk.Resolution.HighResB
    assert sdk.echo(sdk.Resolution) is sdk.Resolution


# What must not get out


def test_a_result_that_leads_elsewhere_is_refused_and_costs_nothing(sdk: Any) -> None:
    device = sdk.createDevice("S1")
    for name in ("module", "foreign_function", "foreign_class", "nested_module", "formatter"):
        with pytest.raises(NotPortable, match="cannot be given to a client"):
            getattr(device, name)()
    assert device.getSerial() == "S1"


def test_an_attribute_that_leads_elsewhere_is_refused(sdk: Any) -> None:
    for name in ("tools", "shell"):
        with pytest.raises(NotPortable, match="cannot be given to a client"):
            getattr(sdk.createDevice(), name)


def test_expose_narrows_what_is_seen(server: Server, without_sdk: None) -> None:
    sdk = server.serve("sdk_sample", "narrow", expose=["createDevice", "Device", "Device.getSerial"])
    device = sdk.createDevice("S1")
    assert device.getSerial() == "S1"
    assert not hasattr(device, "setDelay")
    assert not hasattr(sdk, "freeDevice")
    assert [name for name in dir(device) if not name.startswith("_")] == ["getSerial", "uri"]
