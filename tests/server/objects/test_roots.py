"""What is served by name: modules, classes, objects; made, found, ended."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from drivers import Plain
from holding import held, until
from sdk_sample import Device, Edge

from instrumentserver import Proxy, Server, UnknownName, UsageError, list_servers, start_server
from instrumentserver.objects import RemoteObject


class Shop:
    """A class of the test's own, which no server can import."""

    rebate = 0.1

    def __init__(self, name: str = "shop", *, owner: Any = None) -> None:
        self.name = name
        self.owner = owner
        self.opened = 0

    def open(self, times: int = 1) -> int:
        """Open, and return how often it has been."""
        self.opened += times
        return self.opened

    def close(self) -> None:
        """Tell that it was closed."""
        if self.owner is not None:
            self.owner.append(self.name)


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("roots")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """End what a test served; the server of the module goes on."""
    yield
    for server in list_servers():
        if server != home:
            server.stop()
    for name in home.objects:
        home.unserve(name)
    for instrument in home.instruments.values():
        instrument.close()


@pytest.mark.parametrize("what", ["statistics", statistics], ids=["by path", "itself"])
def test_a_module_is_served(home: Server, what: Any) -> None:
    served = home.serve(what, "stats")

    assert served.mean([1, 2, 3]) == 2
    assert served.uri == "unix:roots/stats"
    assert home.objects["stats"] is served
    assert Proxy("unix:roots/stats") is served
    assert issubclass(type(served), RemoteObject)


def test_a_module_made_in_the_notebook_is_served(home: Server) -> None:
    module = ModuleType("made_here")
    exec("def double(x):\n    return 2 * x", vars(module))

    assert home.serve(module, "made").double(4) == 8


@pytest.mark.parametrize(
    ("arguments", "name", "opened"),
    [([], "shop", 1), (["corner"], "corner", 1), ({"name": "by keyword"}, "by keyword", 1)],
    ids=["none", "positional", "keyword"],
)
def test_a_class_with_arguments_is_made_on_the_server(
    home: Server, arguments: Any, name: str, opened: int
) -> None:
    shop = home.serve(Shop, "shop", arguments=arguments)

    assert (shop.name, shop.open()) == (name, opened)


def test_a_class_itself_is_served(home: Server) -> None:
    served = home.serve(Shop, "Shop")

    one, other = served("a"), served(name="b")

    assert (one.name, other.name, served.rebate) == ("a", "b", 0.1)
    assert isinstance(one, served)


def test_a_factory_and_a_class_by_import_path_are_called(home: Server) -> None:
    assert home.serve("sdk_sample:createDevice", "made", arguments=["S7"]).getSerial() == "S7"
    assert home.serve("sdk_sample:Device", "device", arguments={"serial": "S8"}).getSerial() == "S8"


def test_an_object_is_served_as_a_copy(home: Server) -> None:
    mine = Shop("mine")

    shop = home.serve(mine, "shop")

    assert shop.open(3) == 3
    assert mine.opened == 0
    shop.opened = 10
    assert (shop.open(), shop.opened) == (11, 11)


def test_what_has_a_value_form_is_served_by_reference_all_the_same(home: Server) -> None:
    served = home.serve([1, 2], "list", lock="none")

    served.append(3)

    assert (len(served), served[2], list(served)) == (3, 3, [1, 2, 3])
    assert home.objects["list"] is served


def test_serving_the_same_again_returns_what_is_there(home: Server) -> None:
    shop = home.serve(Shop, "shop", arguments=["a"])
    shop.open()

    again = home.serve(Shop, "shop", arguments=["a"])

    assert again is shop
    assert again.opened == 1


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("math", {}),
        (Shop, {"arguments": ["b"]}),
        (Shop, {"arguments": ["a"], "lock": "none"}),
        (Shop, {"arguments": ["a"], "expose": ["open"]}),
    ],
    ids=["thing", "arguments", "lock", "expose"],
)
def test_serving_something_else_under_the_name_says_what_is_there(
    home: Server, what: Any, options: dict[str, Any]
) -> None:
    shop = home.serve(Shop, "shop", arguments=["a"])

    with pytest.raises(UsageError, match=r"'shop' is served already: class .*Shop, lock 'one'.*unserve"):
        home.serve(what, "shop", **options)
    assert shop.open() == 1


@pytest.mark.parametrize(
    ("what", "options", "error", "text"),
    [
        ("math", {"name": "1st"}, UsageError, "'1st' cannot name an object"),
        ("math", {"name": "a.b"}, UsageError, "cannot name"),
        ("math", {"lock": "two"}, UsageError, "lock='two' is none of 'one', 'each', 'none'"),
        ("math", {"access": "mine"}, UsageError, "access='mine' is none of"),
        ("math", {"access": "client"}, UsageError, "access='client' makes one for each client"),
        ("math", {"arguments": []}, UsageError, "cannot be called"),
        ("no.such.module", {}, ImportError, "No module named 'no'"),
        ("math:nothing", {}, UsageError, "math has no 'nothing'"),
        ("sdk_sample:fail", {"arguments": ["at once"]}, Exception, "at once"),
        ("math", {"expose": ["nothing*"]}, UsageError, "matches nothing"),
        ("math", {"before_call": "math:pi"}, UsageError, "cannot be called"),
    ],
)
def test_what_cannot_be_served_leaves_nothing_behind(
    home: Server, what: str, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    options = dict(options)
    with pytest.raises(error, match=text):
        home.serve(what, options.pop("name", "thing"), **options)

    assert list(home.objects) == []
    assert home.proxies() == []
    assert home.serve("math", "thing").pi == math.pi


def test_instruments_and_objects_share_their_names(home: Server) -> None:
    home.create(Plain, "meter")
    home.serve("math", "lib")

    with pytest.raises(UsageError, match="'meter' is an instrument of this server"):
        home.serve("math", "meter")
    with pytest.raises(KeyError, match="lib is an object that server 'roots' serves"):
        home.create(Plain, "lib")
    assert home.status()["objects"] == {"lib": "math"}
    assert list(home.instruments) == ["meter"]
    assert Proxy("unix:roots/meter") is home.instruments["meter"]
    with pytest.raises(
        UnknownName, match="has neither an instrument nor an object 'other'; it has meter, lib"
    ):
        Proxy("unix:roots/other")


def test_what_the_server_made_is_closed_at_the_end_and_nothing_else(home: Server) -> None:
    closed = home.serve([], "closed", lock="none")
    home.serve(Shop, "made", arguments={"name": "made", "owner": closed})
    home.serve(Shop("given"), "given")
    shop = home.serve(Shop, "Shop")
    one = shop("made by a call", owner=closed)

    for name in ("made", "given", "Shop"):
        home.unserve(name)

    assert list(closed) == ["made"]
    with pytest.raises(UnknownName, match="unserved"):
        one.open()


@pytest.mark.slow
def test_what_the_server_made_is_closed_when_it_stops(home: Server) -> None:
    closed = home.serve([], "closed", lock="none")
    other = start_server("stopping")
    other.serve(Shop, "first", arguments={"name": "first", "owner": closed})
    other.serve(Shop, "second", arguments={"name": "second", "owner": closed})

    other.stop()

    assert list(closed) == ["second", "first"]


def test_a_server_with_an_object_is_not_unused(home: Server) -> None:
    other = start_server("used", linger=5)
    other.serve("math", "lib")

    other.stop_if_unused()

    assert other.objects["lib"].floor(1.5) == 1


def test_objects_are_arguments_of_instruments_and_their_constructors(home: Server) -> None:
    device = home.serve(Device, "device", arguments=["S3"])
    meter = home.create(Plain, "meter")

    meter.kept = device

    assert meter.kept is device
    assert device.apply is not None


def test_classes_of_a_module_are_arguments_and_values(home: Server) -> None:
    sdk = home.serve("sdk_sample", "sdk")

    assert sdk.echo(sdk.Device) is sdk.Device
    assert sdk.Device.uri == "unix:roots/sdk.Device"
    assert Proxy("unix:roots/sdk.Device") is sdk.Device
    assert sdk.describe(sdk.Device) == ["type"]
    assert sdk.Edge(3) is Edge.All
    assert held(home) == {}


def test_nested_results_are_objects(home: Server) -> None:
    sdk = home.serve("sdk_sample", "sdk")
    device = sdk.createDevice("S1")

    ports = device.ports()

    assert [port.number for port in ports["all"]] == [1, 2]
    assert ports["first"][1] == 5
    assert sorted(held(home).values()) == [1, 1, 1, 1]
    del ports
    until(lambda: len(held(home)) == 1)
