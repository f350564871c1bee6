"""Names and paths that no client of ours sends: each is refused, and costs nobody anything."""

from __future__ import annotations

from typing import Any

import pytest

from instrumentserver import Server
from instrumentserver.errors import InstrumentServerError
from instrumentserver.wire.messages import Op

NAMES = [
    *("__class__", "__dict__", "__globals__", "__init__", "__reduce_ex__", "__getattribute__", "__setattr__"),
    *("_delay", "_listeners", "tools.system", "serial.format", "getSerial.__func__", "__class__.__mro__"),
    *("mro", "__subclasses__", " ", "serial[0]", "Port.__init__", "__delattr__", "\uff3f_class__"),
    *(None, 7, b"serial", ["serial"], {"name": "serial"}, ("serial",), 1.5, False),
]
PATHS = [
    *("sdk.os", "sdk.Device.__class__", "sdk.Device.__init__", "sdk.createDevice", "sdk.settings", "sdk."),
    *(
        ".sdk",
        "sdk.Device.getSerial",
        "sdk._secret",
        "sdk.__class__",
        "@Device-000000-1",
        "@",
        "",
        "sdk/Device",
    ),
    *("sdk.OrderedDict", "sdk.Resolution.HighResA", "nothing", "unix:x/sdk"),
]
WRONG = [None, 7, b"sdk", ["sdk"], {"sdk": 1}, 1.5]
MALFORMED: list[list[Any]] = [
    [Op.OBJECT_CALL],
    [Op.OBJECT_CALL, "PATH"],
    [Op.OBJECT_CALL, "PATH", "getSerial", None, None],
    [Op.OBJECT_CALL, "PATH", "getSerial", [], 5],
    [Op.OBJECT_CALL, "PATH", "getSerial", 5, {}],
    [Op.OBJECT_CALL, "PATH", "getSerial", [], {"self": 1}],
    [Op.OBJECT_CALL, "PATH", "getSerial", [], {1: 2}],
    [Op.OBJECT_CALL, "PATH", "setDelay", [], {"self": 1, "channel": 1}],
    [Op.OBJECT_CALL, "PATH", "__exit__", [{"class": ["os", "system"]}], {}],
    [Op.OBJECT_CALL, "PATH", "throw", [{"class": None}], {}],
    [Op.OBJECT_CLASS, "", 10**9],
    [Op.OBJECT_CLASS, "", "1"],
    [Op.OBJECT_CLASS, "", None],
]


@pytest.fixture
def device(server: Server) -> Any:
    """Return a proxy of a device."""
    return server.serve("sdk_sample", "sdk", lock="none").createDevice("S1")


def refused(device: Any, request: list[Any]) -> BaseException:
    """Return the error that a request costs."""
    with pytest.raises(Exception) as raised:
        device._session.request(request)
    assert device.getSerial() == "S1"
    return raised.value


@pytest.mark.slow
def test_a_forged_name_is_refused_in_every_operation(device: Any) -> None:
    path = device._path
    for name in NAMES:
        for request in (
            [Op.OBJECT_CALL, path, name, [], {}],
            [Op.OBJECT_GET, path, name],
            [Op.OBJECT_SET, path, name, 1],
            [Op.OBJECT_DELETE, path, name],
            [Op.OBJECT_GET, "sdk", name],
            [Op.OBJECT_CALL, "sdk", name, [], {}],
            [Op.OBJECT_GET, "sdk.Device", name],
            [Op.OBJECT_CALL, "sdk.Device", name, [device], {}],
        ):
            assert isinstance(refused(device, request), AttributeError | TypeError), request


def test_what_leads_to_the_system_is_neither_read_nor_called(device: Any) -> None:
    for name in ("tools", "shell"):
        assert isinstance(refused(device, [Op.OBJECT_GET, device._path, name]), TypeError)
        assert isinstance(refused(device, [Op.OBJECT_CALL, device._path, name, ["true"], {}]), TypeError)


@pytest.mark.slow
def test_a_forged_path_leads_nowhere(device: Any) -> None:
    for path in PATHS:
        for request in (
            [Op.OBJECT_CALL, path, "system", ["true"], {}],
            [Op.OBJECT_GET, path, "serial"],
            [Op.OBJECT_SET, path, "serial", 1],
            [Op.OBJECT_DELETE, path, "serial"],
            [Op.OBJECT_FIND, path],
        ):
            assert isinstance(refused(device, request), InstrumentServerError | AttributeError), request


@pytest.mark.slow
def test_what_is_no_path_at_all_is_refused(device: Any) -> None:
    for path in WRONG:
        for request in (
            [Op.OBJECT_CALL, path, "getSerial", [], {}],
            [Op.OBJECT_GET, path, "serial"],
            [Op.OBJECT_FIND, path],
        ):
            refused(device, request)


@pytest.mark.slow
def test_malformed_requests_are_refused(device: Any) -> None:
    for request in MALFORMED:
        refused(device, [device._path if part == "PATH" else part for part in request])


def test_a_method_of_a_class_is_not_called_with_another_object(device: Any) -> None:
    request = [Op.OBJECT_CALL, "sdk.Device", "getSerial", [device], {}]
    assert "belongs to the objects" in str(refused(device, request))


def test_steps_of_a_generator_are_all_that_it_offers(device: Any, server: Server) -> None:
    stream = server.objects["sdk"].Stream().numbers(3)
    for name in ("gi_frame", "gi_code", "gi_yieldfrom", "gi_running", "gi_suspended"):
        for request in (
            [Op.OBJECT_GET, stream._path, name],
            [Op.OBJECT_CALL, stream._path, name, [], {}],
            [Op.OBJECT_SET, stream._path, name, 1],
        ):
            assert isinstance(refused(device, request), AttributeError)
    assert list(stream) == [0, 1, 2]


def test_a_function_has_no_attributes(device: Any) -> None:
    function = device.maker()
    for name in (
        "__globals__",
        "__code__",
        "__closure__",
        "func_globals",
        "__call__",
        "__get__",
        "__defaults__",
    ):
        for request in (
            [Op.OBJECT_GET, function._path, name],
            [Op.OBJECT_CALL, function._path, name, [1], {}],
            [Op.OBJECT_SET, function._path, name, 1],
        ):
            assert isinstance(refused(device, request), AttributeError)
    assert function(1) == 2
