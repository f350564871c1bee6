"""Who may use served objects: everybody, one at a time, each one of his own; and what is asked before each call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from holding import Scripts, held, until
from sdk_sample import Device

from instrumentserver import Proxy, Server, UsageError, list_servers, start_server
from instrumentserver.objects import ClientIdentity, ObjectCall, ObjectInUse, holders, release
from instrumentserver.server.objects.access import check_reading
from instrumentserver.server.objects.served import Family, ServedObject, ServingOptions


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("access")
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


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    """Yield what runs other processes."""
    with Scripts() as running:
        yield running


USING = """
device = Proxy(sys.argv[1])
for line in sys.stdin:
    try:
        print(eval(line), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


@pytest.mark.slow
def test_who_uses_it_first_has_it_until_he_releases_it_or_ends(home: Server, scripts: Scripts) -> None:
    device = home.serve("sdk_sample:Device", "device", arguments=["S1"], access="exclusive")
    other = scripts.run(USING, device.uri)
    assert scripts.ask(other, "device.getSerial()") == "S1"

    for use in (lambda: device.getSerial(), lambda: device.comment, lambda: setattr(device, "comment", "x")):
        with pytest.raises(
            ObjectInUse, match=rf"'device' is for one client at a time, and used by .* \(pid {other.pid}\)"
        ):
            use()
    assert home.objects["device"] is device
    assert scripts.ask(other, "device.comment") == ""

    scripts.ask(other, "__import__('instrumentserver').objects.release(device)")
    assert device.getSerial() == "S1"
    assert scripts.ask(other, "device.getSerial()").startswith(
        "ObjectInUse 'device' is for one client at a time"
    )

    port = device.counter(1)
    release(device)
    assert scripts.ask(other, "device.getSerial()") == "S1"
    with pytest.raises(ObjectInUse):
        port.getData()
    scripts.kill(other)
    until(lambda: _is_free(device))


def _is_free(device: Any) -> bool:
    try:
        return bool(device.getSerial() == "S1")
    except ObjectInUse:
        return False


@pytest.mark.slow
def test_it_is_free_when_nothing_of_it_is_left(home: Server, scripts: Scripts) -> None:
    device = home.serve("sdk_sample:Device", "device", arguments=["S1"], access="exclusive")
    other = scripts.run(USING, device.uri)
    counter = device.counter(1)
    uri = device.uri
    del device

    assert scripts.ask(other, "device.getSerial()").startswith("ObjectInUse")
    del counter
    until(lambda: scripts.ask(other, "device.getSerial()") == "S1")
    with pytest.raises(ObjectInUse):
        Proxy(uri).getSerial()


@pytest.mark.slow
def test_each_client_has_one_of_his_own_which_ends_with_him(home: Server, scripts: Scripts) -> None:
    ended = home.serve([], "ended", lock="none")
    mine = home.serve(Own, "own", arguments=[ended], access="client")
    other = scripts.run(USING, mine.uri)
    mine.name = "mine"

    assert scripts.ask(other, "device.name") == "nobody"
    assert (
        scripts.ask(other, "setattr(device, 'name', 'his'), device.name, device.part().name()")
        == "(None, 'his', 'his')"
    )
    assert (mine.name, mine.part().name()) == ("mine", "mine")
    assert mine.same(mine) is True
    assert Proxy(mine.uri) is mine
    assert [
        entry["path"] for entry in home.proxies() if entry["root"] == "own" and entry["path"][0] != "@"
    ] == ["own"] * 2

    scripts.kill(other)

    until(lambda: list(ended) == ["his"])
    assert mine.name == "mine"
    until(lambda: sum(entry["path"] == "own" for entry in home.proxies()) == 1)
    home.unserve("own")
    assert list(ended) == ["his", "mine"]


class Own:
    """Something that each client has for himself."""

    def __init__(self, ended: Any) -> None:
        self.name = "nobody"
        self._ended = ended

    def part(self) -> Any:
        """Return something that came from it."""
        return _Part(self)

    def same(self, other: Any) -> bool:
        """Return whether something is this."""
        return other is self

    def close(self) -> None:
        """Tell that it was closed."""
        self._ended.append(self.name)


class _Part:
    def __init__(self, own: Own) -> None:
        self._own = own

    def name(self) -> str:
        """Return the name of what it came from."""
        return self._own.name


def refuse_setting(client: ClientIdentity, call: ObjectCall) -> None:
    """Refuse what sets delays."""
    if (call.member == "setDelay" and call.args[0] > 1) or (call.member == "delay" and call.args):
        raise PermissionError(f"{client.user} (pid {client.pid}, {client.role}) may not {call}")


@pytest.mark.parametrize("hook", ["turns_sdk:refuse_setting", refuse_setting], ids=["by path", "function"])
def test_a_function_of_the_server_is_asked_before_each_call(home: Server, hook: Any) -> None:
    device = home.serve("sdk_sample:Device", "device", arguments=["S1"], before_call=hook)

    assert device.setDelay(1, 5) == 5
    with pytest.raises(
        PermissionError, match=rf"pid {os.getpid()}, admin\) may not .*'device'.*'Device'.*'setDelay'"
    ):
        device.setDelay(2, delay=7)
    with pytest.raises(PermissionError):
        device.delay = 3
    assert device.delay == 5
    assert device.counter(1).getDevice() is device


def test_holders_say_who(home: Server) -> None:
    device = home.serve("sdk_sample:Device", "device", arguments=["S1"])

    (holder,) = holders(device)

    assert holder["pid"] == os.getpid()
    assert set(holder) == {"user", "host", "pid", "program", "session", "count"}
    assert home.proxies()[0]["holders"][0]["session"] == holder["session"]
    with pytest.raises(UsageError, match="is no proxy"):
        holders("device")  # type: ignore[arg-type]


def test_release_tells_the_server_at_once(home: Server) -> None:
    device = home.serve("sdk_sample:Device", "device", arguments=["S1"])
    counter = device.counter(1)

    release(counter)

    assert held(home) == {}
    assert device.getSerial() == "S1"


@pytest.mark.parametrize(
    ("member", "reads", "is_allowed"),
    [
        ("getSerial", ["get*"], True),
        ("getSerial", ["Device.get*"], True),
        ("getSerial", ["Counter.get*"], False),
        ("setDelay", ["get*"], False),
        ("setDelay", [], False),
        ("__len__", [], True),
        ("__setitem__", ["get*"], False),
        ("__call__", ["get*"], False),
        ("", ["get*"], False),
    ],
)
def test_who_may_only_read_calls_what_is_said_to_read(
    member: str, reads: list[str], is_allowed: bool
) -> None:
    family = Family("device", ServingOptions(reads=reads), Device("S1"), "id")
    served = ServedObject("device", Device("S1"), family, 1, "id", is_root=True)

    if is_allowed:
        check_reading(served, member)
    else:
        with pytest.raises(UsageError, match="a viewer may only read"):
            check_reading(served, member)
