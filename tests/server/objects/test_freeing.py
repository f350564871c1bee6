"""Objects that are ended on purpose: who else has one is asked first, and who uses it afterwards is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from holding import Scripts, held, until

from instrumentserver import Server, UnknownName, UsageError, start_server
from instrumentserver.objects import ObjectFreed, ObjectInUse, free

USING = """
device = Proxy(sys.argv[1])
sdk = Proxy(sys.argv[2])
for line in sys.stdin:
    try:
        print(eval(line), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("freeing")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """End what a test served; the server of the module goes on."""
    yield
    for name in home.objects:
        home.unserve(name)


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    """Yield what runs other processes."""
    with Scripts() as running:
        yield running


@pytest.fixture
def sdk(home: Server) -> Any:
    """Return the proxy of the sample SDK."""
    return home.serve("sdk_sample", "sdk", lock="none")


@pytest.mark.parametrize("by_keyword", [False, True], ids=["positional", "keyword"])
def test_a_function_that_frees_ends_the_object(home: Server, sdk: Any, by_keyword: bool) -> None:
    device = sdk.createDevice("S1")

    assert (sdk.freeDevice(device=device) if by_keyword else sdk.freeDevice(device)) is True

    assert held(home) == {}
    with pytest.raises(
        ObjectFreed, match=rf"was freed by .* \(pid {os.getpid()}\) of .* with sdk.freeDevice\(\) at \d{{4}}-"
    ):
        device.getSerial()
    with pytest.raises(ObjectFreed):
        sdk.describe(device)
    assert sdk.createDevice("S2").getSerial() == "S2"


@pytest.mark.slow
def test_what_others_have_is_freed_by_force_only(home: Server, sdk: Any, scripts: Scripts) -> None:
    device = sdk.createDevice("S1")
    other = scripts.run(USING, device.uri, sdk.uri)
    assert scripts.ask(other, "device.getSerial()") == "S1"

    with pytest.raises(
        ObjectInUse, match=rf"is used by .* \(pid {other.pid}\) of .*, too, and was not freed; .*force=True"
    ):
        sdk.freeDevice(device)
    assert device.getSerial() == "S1"
    answer = scripts.ask(other, "sdk.freeDevice(device)")
    assert answer.startswith("ObjectInUse") and f"(pid {os.getpid()})" in answer

    assert sdk.freeDevice(device, force=True) is True

    assert scripts.ask(other, "device.getSerial()").startswith("ObjectFreed")
    with pytest.raises(UnknownName, match="was freed by"):
        device.getSerial()


@pytest.mark.slow
def test_who_has_something_made_with_it_is_asked_too(home: Server, sdk: Any, scripts: Scripts) -> None:
    device = sdk.createDevice("S1")
    other = scripts.run(
        "counter = Proxy(sys.argv[2]).Counter(Proxy(sys.argv[1]), [1])\n"
        "print(next(iter(counter)), flush=True); input()\ndel counter; print('gone', flush=True); input()",
        device.uri,
        sdk.uri,
    )
    assert scripts.ask(other) == "1"
    until(lambda: held(home)[device.uri.partition("/")[2]] == 1)

    with pytest.raises(ObjectInUse, match=rf"\(pid {other.pid}\)"):
        sdk.freeDevice(device)
    assert scripts.ask(other, "let go") == "gone"
    until(lambda: len(held(home)) == 1)
    assert sdk.freeDevice(device) is True


@pytest.mark.slow
def test_who_is_alone_again_frees_without_force(home: Server, sdk: Any, scripts: Scripts) -> None:
    device = sdk.createDevice("S1")
    other = scripts.run(USING, device.uri, sdk.uri)
    assert scripts.ask(other, "device.getSerial()") == "S1"
    scripts.kill(other)
    until(lambda: list(held(home).values()) == [1])

    assert sdk.freeDevice(device) is True


def test_a_function_that_fails_frees_nothing(home: Server, sdk: Any) -> None:
    device = sdk.createDevice("S1")

    with pytest.raises(TypeError):
        sdk.freeDevice(device, 1, 2)
    assert device.getSerial() == "S1"


def test_which_functions_free_is_told(home: Server) -> None:
    sdk = home.serve("sdk_sample", "other", frees=["describe", "is_*"])
    device, second = sdk.createDevice("S1"), sdk.createDevice("S2")

    assert sdk.freeDevice(device) is True
    with pytest.raises(Exception, match="S1 was freed"):
        device.getSerial()
    assert sdk.describe(device) == ["Device"]
    with pytest.raises(ObjectFreed, match=r"other.describe\(\)"):
        device.getSerial()
    assert sdk.is_same(one=second, other=second)
    with pytest.raises(ObjectFreed):
        second.getSerial()


def test_free_ends_any_object_that_a_call_returned(home: Server, sdk: Any) -> None:
    counter = sdk.createDevice("S1").counter(1, 2)

    free(counter)

    with pytest.raises(ObjectFreed, match=r"with instrumentserver.objects.free\(\)"):
        counter.getData()
    with pytest.raises(UsageError, match=r"'sdk' was served by name; end that with server.unserve\('sdk'\)"):
        free(sdk)
    with pytest.raises(UsageError, match="is no proxy"):
        free(5)  # type: ignore[arg-type]


@pytest.mark.slow
def test_free_asks_who_else_has_it(home: Server, sdk: Any, scripts: Scripts) -> None:
    device = sdk.createDevice("S1")
    other = scripts.run(USING, device.uri, sdk.uri)
    assert scripts.ask(other, "device.getSerial()") == "S1"

    with pytest.raises(ObjectInUse):
        free(device)
    free(device, force=True)

    assert scripts.ask(other, "device.getSerial()").startswith("ObjectFreed")


def test_an_object_that_the_sdk_returns_after_it_was_freed_is_served_anew(home: Server, sdk: Any) -> None:
    device = sdk.createDevice("S1")
    counter = device.counter(1)
    sdk.freeDevice(device)

    again = counter.getDevice()

    assert again != device
    with pytest.raises(Exception, match="S1 was freed"):
        again.getSerial()
