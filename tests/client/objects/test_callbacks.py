"""Functions of a client that a server calls."""

from __future__ import annotations

import functools
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from instrumentserver import Instrument, Server
from instrumentserver.errors import CallCycle, ClientLost, NotPortable

CALLER = """
import sys
import threading
sys.path.insert(0, sys.argv[1])
import instrumentserver
device = instrumentserver.Proxy(sys.argv[2])
device.listen(lambda *args: sum(args))
device.listen(lambda *args: sys.stdin.readline())
print("listening", flush=True)
threading.Event().wait()
"""


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does within 5 s."""
    pause, give_up = Event(), time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        pause.wait(0.002)
    return condition()


@pytest.fixture
def device(sdk: Any) -> Any:
    """Return a device that is used without a lock."""
    return sdk.createDevice("S1")


class Noting:
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def note(self, *args: Any) -> int:
        """Note the arguments; return how many notes there are."""
        self.noted.append(args)
        return len(self.noted)

    def __call__(self, *args: Any) -> int:
        return self.note(*args)


def test_a_function_given_as_an_argument_is_called_here(device: Any) -> None:
    here: list[int] = []
    assert device.apply(lambda number: here.append(number) or number * 2, 21) == 42
    assert here == [21]


@pytest.mark.parametrize(
    "function",
    [Noting(), Noting().note, functools.partial(Noting().note, 0), len],
    ids=["object", "bound method", "partial", "built-in"],
)
def test_whatever_can_be_called_is_a_function(device: Any, function: Callable[..., int]) -> None:
    assert device.apply(function, [7]) == 1


def test_a_function_is_found_in_any_position(sdk: Any, device: Any) -> None:
    def double(number: int) -> int:
        return 2 * number

    assert device.apply(function=double, number=4) == 8
    assert sdk.echo([{"it": (double, 3)}]) == [{"it": (double, 3)}]
    assert device.on_event is None
    device.on_event = double
    assert device.on_event is double


def test_proxies_arrays_and_names_arrive_in_a_callback(device: Any) -> None:
    got: dict[str, Any] = {}

    def note(*args: Any, **kwargs: Any) -> Any:
        got.update(args=args, kwargs=kwargs)
        return args[0]

    big = np.arange(10_000.0)
    assert device.apply(note, device, port=[device.counter(1)], data=big) is device
    assert got["args"] == (device,)
    assert got["kwargs"]["port"][0].channels == [1]
    assert np.array_equal(got["kwargs"]["data"], big)
    assert np.array_equal(device.apply(lambda data: data + 1, big), big + 1)


def test_callbacks_come_in_order_and_on_one_thread(device: Any) -> None:
    threads, numbers = set(), []

    def note(number: int) -> None:
        threads.add(threading.current_thread())
        numbers.append(number)

    device.listen(note)
    for number in range(20):
        device.fire_from_thread(number)
    assert numbers == list(range(20))
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_a_function_is_called_long_after_the_call_that_brought_it(device: Any) -> None:
    noting = Noting()
    device.listen(noting.note)
    assert noting.noted == []
    assert device.fire_from_thread("a") == [1]
    assert device.fire("b", 2) == [2]
    assert noting.noted == [("a",), ("b", 2)]


def test_an_error_of_a_callback_is_raised_there_and_logged_here(
    device: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError("not here")

    with caplog.at_level(logging.ERROR), pytest.raises(LookupError, match="not here") as raised:
        device.apply(fail)
    assert "in fail" in caplog.text
    assert "Traceback on client" in "".join(raised.value.__notes__)
    assert device.fire_from_thread() == []
    device.listen(fail)
    assert device.fire_from_thread() == ["LookupError: not here"]


def test_what_a_callback_returns_must_be_able_to_travel(device: Any) -> None:
    with pytest.raises(NotPortable, match="cannot travel"):
        device.apply(lambda: object())
    assert device.getSerial() == "S1"


def test_an_async_function_is_refused(device: Any) -> None:
    async def later() -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="is async"):
        device.apply(later)


def test_a_callback_uses_objects_where_nothing_is_locked(device: Any) -> None:
    assert device.apply(lambda: device.getSerial()) == "S1"
    assert device.apply(lambda: device.apply(lambda: device.apply(lambda: device.counter(1, 2)(2)))) == 6


def test_a_callback_that_comes_back_to_an_object_that_waits_for_it_is_refused(
    server: Server, without_sdk: None
) -> None:
    device = server.serve("sdk_sample:Device", "device", lock="one", arguments=["S3"])
    way = rf"unix:{server.name}/device\.apply -> .*lambda.* of .* -> unix:{server.name}/device\.getSerial"
    with pytest.raises(CallCycle, match=way):
        device.apply(lambda: device.getSerial())
    assert device.getSerial() == "S3"


def test_a_callback_uses_other_objects_than_the_one_that_waits_for_it(
    server: Server, without_sdk: None
) -> None:
    device = server.serve("sdk_sample:Device", "device", lock="one", arguments=["S3"])
    other = server.serve("sdk_sample:Device", "other", lock="one", arguments=["S4"])
    assert device.apply(lambda: other.getSerial()) == "S4"


def test_a_function_that_the_server_lets_go_of_is_let_go_of_here(device: Any) -> None:
    noting = Noting()
    gone = weakref.ref(noting)
    device.listen(noting.note)
    device.listen(noting.note)
    device.apply(noting.note)
    del noting
    gc.collect()
    assert device.fire("kept") == [2, 3]
    device.forget_listeners()
    assert soon(lambda: gc.collect() >= 0 and gone() is None)
    with pytest.raises(NotPortable):
        device.apply(len, object())


def test_nothing_is_kept_of_functions_that_many_threads_gave(device: Any) -> None:
    def use(thread: int) -> list[Callable[[], Any]]:
        gone = []
        for number in range(20):
            noting = Noting()
            assert device.apply(noting.note, number) == 1
            gone.append(weakref.ref(noting))
        return gone

    with ThreadPoolExecutor(4) as pool:
        references = [reference for found in pool.map(use, range(4)) for reference in found]
    assert soon(lambda: gc.collect() >= 0 and not any(reference() for reference in references))


def test_arguments_that_cannot_travel_beside_a_function_keep_nothing(device: Any) -> None:
    noting = Noting()
    gone = weakref.ref(noting)
    with pytest.raises(NotPortable, match="object object"):
        device.apply(noting, object())
    del noting
    gc.collect()
    assert gone() is None


def test_a_client_gets_its_own_function_back(sdk: Any, device: Any) -> None:
    noting = Noting()
    assert sdk.echo(noting) is noting
    assert sdk.echo(noting.note) == noting.note
    device.on_event = noting
    assert device.on_event is noting


@pytest.mark.slow
def test_a_client_that_has_gone_is_an_error_at_once(device: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CALLER, str(Path(__file__).parents[2]), device.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "listening\n"
        threading.Timer(0.2, other.send_signal, [signal.SIGKILL]).start()
        begun = time.monotonic()
        with pytest.raises(
            ClientLost, match=rf"\(pid {other.pid}\) has gone before it answered.*forget the function"
        ):
            device.fire(1, 2)
        assert time.monotonic() - begun < 5
    assert f"(pid {other.pid}) has gone" in device.fire_from_thread(1)[0]
    assert device.getSerial() == "S1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_called_itself(device: Any) -> None:
    assert device.apply(os.getpid) == os.getpid()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of forks beside threads.
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        try:
            os.write(writing, str(device.apply(os.getpid) == os.getpid()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"True"
    os.close(reading)
    os.close(writing)
    assert device.apply(os.getpid) == os.getpid()


@pytest.mark.slow
def test_functions_of_two_clients_are_told_apart(device: Any) -> None:
    command = [sys.executable, "-c", CALLER, str(Path(__file__).parents[2]), device.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "listening\n"
        device.listen(lambda *args: "mine")
        other.stdin.write("theirs\n")
        other.stdin.flush()
        assert device.fire(4, 5) == [9, "theirs\n", "mine"]
        other.kill()


def test_a_callback_of_an_async_method_may_not_use_another_async_method(sdk: Any, device: Any) -> None:
    stream = sdk.Stream()
    with pytest.raises(CallCycle, match=r"event loop of async methods.*asyncio\.to_thread"):
        device.apply_later(lambda: stream.soon(1))
    assert device.apply_later(lambda: device.getSerial()) == "S1"


# Instruments


class Ramping(Instrument):
    """A driver that tells how far it is."""

    def ramp(self, steps: int, progress: Callable[[int], Any]) -> list[Any]:
        """Ramp in steps; return what the function returned at each."""
        return [progress(step) for step in range(steps)]

    def identity(self) -> int:
        """Return a number."""
        return 5


def test_a_driver_calls_a_function_of_the_client(server: Server) -> None:
    ramping = server.create(Ramping, "ramping")
    noting = Noting()
    assert ramping.ramp(3, progress=noting.note) == [1, 2, 3]
    assert noting.noted == [(0,), (1,), (2,)]


def test_a_function_that_a_driver_calls_may_not_come_back_to_the_instrument(server: Server) -> None:
    ramping = server.create(Ramping, "ramping")
    with pytest.raises(CallCycle, match=r"ramping\.ramp -> .* -> .*ramping\.identity"):
        ramping.ramp(1, lambda step: ramping.identity())
    assert ramping.identity() == 5
