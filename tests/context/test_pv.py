"""Reading, writing and resting; numbers are those of the contract of the original client."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from context.lab import PATIENCE, Colour, Lab, Responses, hanging
from received import eventually

from instrumentserver import NotPortable, Server
from instrumentserver.context import (
    PV,
    AccessRights,
    ChannelTimeout,
    ChannelType,
    Context,
    ReadNotifyResponse,
    WriteNotifyResponse,
)
from instrumentserver.errors import InstrumentServerError, UsageError


def pv(context: Context, name: str, **kwargs: Any) -> PV:
    (found,) = context.get_pvs(f"lab:{name}", **kwargs)
    found.wait_for_connection(timeout=PATIENCE)
    return found


def value(found: PV) -> Any:
    response = found.read()
    assert response is not None
    return response.data[0] if len(response.data) == 1 else list(response.data)


# Reading


def test_a_read_returns_a_fresh_value_with_everything_about_it(context: Context, lab: Lab) -> None:
    x = pv(context, "x")
    lab.x(1.5)
    before = time.time()
    response = x.read()
    assert isinstance(response, ReadNotifyResponse)
    assert isinstance(response.data, np.ndarray)
    assert (response.data.tolist(), response.data_type, response.data_count) == ([1.5], ChannelType.DOUBLE, 1)
    metadata = response.metadata
    assert (metadata.units, metadata.lower_ctrl_limit, metadata.upper_ctrl_limit) == (b"V", -5, 5)
    assert before - 0.1 < metadata.timestamp < time.time() + 0.1
    assert [value(pv(context, "fresh")), value(pv(context, "fresh"))] == [1, 2]


@pytest.mark.parametrize(
    ("name", "data", "data_type"),
    [
        ("x", [0.0], ChannelType.DOUBLE),
        ("n", [0], ChannelType.LONG),
        ("on", [0], ChannelType.ENUM),
        ("mode", [0], ChannelType.ENUM),
        ("colour", [0], ChannelType.ENUM),
        ("text", [b"hello"], ChannelType.STRING),
        ("short", [0, 0, 0, 0], ChannelType.DOUBLE),
        ("anything", [], ChannelType.DOUBLE),
        ("setonly", [], ChannelType.DOUBLE),
        ("ch1:v", [0.0], ChannelType.DOUBLE),
        ("readonly", [42.0], ChannelType.DOUBLE),
    ],
)
def test_every_kind_is_read_in_its_type(
    context: Context, lab: Lab, name: str, data: list[Any], data_type: ChannelType
) -> None:
    response = pv(context, name).read()
    assert response is not None
    assert (list(response.data), response.data_type, response.data_count) == (data, data_type, len(data))


def test_a_dictionary_reads_as_text(context: Context, lab: Lab) -> None:
    assert b'"vendor"' in value(pv(context, "IDN"))


@pytest.mark.parametrize(
    ("data_type", "found"),
    [
        ("native", (ChannelType.ENUM, [1])),
        ("status", (ChannelType.STS_ENUM, [1])),
        ("time", (ChannelType.TIME_ENUM, [1])),
        ("graphic", (ChannelType.GR_ENUM, [1])),
        ("control", (ChannelType.CTRL_ENUM, [1])),
        (ChannelType.STRING, (ChannelType.STRING, [b"ac"])),
        (ChannelType.TIME_STRING, (ChannelType.TIME_STRING, [b"ac"])),
        (6, (ChannelType.DOUBLE, [1.0])),
    ],
)
def test_a_type_may_be_asked_for(context: Context, lab: Lab, data_type: Any, found: Any) -> None:
    lab.mode("ac")
    response = pv(context, "mode").read(data_type=data_type)
    assert response is not None
    assert (response.data_type, list(response.data)) == found
    assert response.metadata.enum_strings == (b"dc", b"ac")


def test_a_type_that_does_not_exist_raises_at_once(context: Context) -> None:
    (nothing,) = context.get_pvs("nobody:x")
    for use in (nothing.read, nothing.subscribe, lambda data_type: nothing.write(1, data_type=data_type)):
        with pytest.raises(KeyError):
            use(data_type="ctrl")  # type: ignore[operator]


def test_limits_that_a_driver_changed_are_seen_when_they_are_asked_for(context: Context, lab: Lab) -> None:
    x = pv(context, "x")
    lab.narrow(-1, 1)
    response = x.read(data_type="control")
    assert response is not None
    assert (response.metadata.lower_ctrl_limit, response.metadata.upper_ctrl_limit) == (-1, 1)


def test_reads_of_several_types_at_the_same_time_get_their_own(context: Context, lab: Lab) -> None:
    mode = pv(context, "mode")
    types = [ChannelType.STRING, ChannelType.ENUM, ChannelType.TIME_DOUBLE, ChannelType.LONG] * 10
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda data_type: mode.read(data_type=data_type), types))
    assert [response and response.data_type for response in found] == types


def test_arrays_are_views_of_what_was_received(context: Context, lab: Lab) -> None:
    response = pv(context, "wave").read()
    assert response is not None and isinstance(response.data, np.ndarray)
    assert np.array_equal(response.data, np.arange(1000.0))
    assert not response.data.flags.owndata


@pytest.mark.parametrize(("count", "data"), [(2, [0, 1]), (0, list(range(1000))), (5000, list(range(1000)))])
def test_the_count_is_a_limit(context: Context, lab: Lab, count: int, data: list[float]) -> None:
    response = pv(context, "wave").read(data_count=count)
    assert response is not None
    assert (list(response.data), response.data_count) == (data, len(data))


def test_a_value_of_another_type_changes_the_type_that_was_a_guess(context: Context, lab: Lab) -> None:
    anything = pv(context, "anything")
    for written, data in (("hello", [b"hello"]), (7, [7]), (2.5, [2.5]), ([1, 2], [1, 2]), (True, [1])):
        lab.anything(written)
        assert list(anything.read().data) == data  # type: ignore[union-attr]


def test_what_a_driver_raises_is_raised_at_once(context: Context, lab: Lab) -> None:
    broken = pv(context, "broken")
    begin = time.monotonic()
    with pytest.raises(OSError, match="the line is dead"):
        broken.read()
    with pytest.raises(OSError, match="the line is dead"):
        broken.write(1)
    assert time.monotonic() - begin < 1


# Writing


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("x", 1.5, 1.5),
        ("x", [1], 1.0),
        ("x", (2,), 2.0),
        ("x", np.array([2.5]), 2.5),
        ("x", "1.25", 1.25),
        ("n", 7, 7),
        ("n", [7.0], 7),
        ("on", 1, True),
        ("on", "on", True),
        ("on", b"on", True),
        ("on", True, True),
        ("mode", 1, "ac"),
        ("mode", "ac", "ac"),
        ("mode", [b"ac"], "ac"),
        ("colour", "BLUE", Colour.BLUE),
        ("text", "other", "other"),
        ("text", b"other", "other"),
        ("text", ["other"], "other"),
        ("anything", "text", "text"),
        ("anything", [5], 5),
        ("ch1:v", -2, -2.0),
    ],
)
def test_everything_is_written_as_the_parameter_wants_it(
    context: Context, lab: Lab, name: str, written: Any, read: Any
) -> None:
    assert isinstance(pv(context, name).write(written), WriteNotifyResponse)
    parameter = lab.ch1.v if name == "ch1:v" else getattr(lab, name)
    assert (type(parameter()), parameter()) == (type(read), read)


@pytest.mark.parametrize("written", [[1, 2, 3, 4], (1, 2, 3, 4), np.arange(1, 5), np.arange(1.0, 5)])
def test_arrays_are_written_in_the_drivers_type(context: Context, lab: Lab, written: Any) -> None:
    pv(context, "short").write(written)
    assert (lab.short().dtype, lab.short().tolist()) == (np.float64, [1, 2, 3, 4])


def test_the_count_of_a_write_is_a_limit(context: Context, lab: Lab) -> None:
    pv(context, "short").write([1, 2, 3, 4, 5, 6], data_count=4)
    assert lab.short().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "written", "error", "text"),
    [
        ("x", 99, ValueError, "99.0 is invalid: must be between -5 and 5 inclusive"),
        ("x", "fast", UsageError, "'fast' is no number"),
        ("x", [1, 2], UsageError, "takes one element, not 2"),
        ("x", None, UsageError, "None is no number"),
        ("n", 1.5, UsageError, "1.5 is no whole number"),
        ("n", -1, ValueError, "-1 is invalid"),
        ("mode", 2, UsageError, "2 is none of its choices; they are 0 'dc', 1 'ac'"),
        ("mode", "fm", UsageError, "'fm' is none of its choices"),
        ("short", [1] * 5, UsageError, "at most 4 elements, not 5"),
        ("short", [1, 2], ValueError, "does not have expected shape"),
        ("readonly", 1, NotImplementedError, "no set cmd found in Parameter readonly"),
        ("anything", object(), NotPortable, "cannot travel"),
    ],
)
def test_a_refused_write_raises_at_once_and_writes_nothing(
    context: Context, lab: Lab, name: str, written: Any, error: type[Exception], text: str
) -> None:
    found = pv(context, name)
    before = getattr(lab, name)()
    begin = time.monotonic()
    with pytest.raises(error, match=text):
        found.write(written)
    assert time.monotonic() - begin < 1
    assert np.array_equal(getattr(lab, name)(), before)


def test_a_write_returns_when_it_was_done_and_blocks_no_other_pv(
    context: Context, server: Server, lab: Lab
) -> None:
    lab.pause = 0.3
    slow = pv(context, "slow")
    server.create(Lab, "other")
    (elsewhere,) = context.get_pvs("other:x")
    elsewhere.wait_for_connection()
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(slow.write, 5)
        for _ in range(10):
            elsewhere.read()
        assert not writing.done()
        assert isinstance(writing.result(PATIENCE), WriteNotifyResponse)
    assert lab.written == [5.0]


# Without waiting


def test_without_waiting_nothing_is_returned_and_the_order_is_kept(
    context: Context, lab: Lab, responses: Responses
) -> None:
    n = pv(context, "n")
    for number in range(50):
        assert n.write(number, wait=False) is None
        assert n.read(wait=False, callback=responses.take) is None
    responses.wait_for_number(50)
    assert responses.values == list(range(50))


def test_what_waits_comes_after_what_was_issued_before(context: Context, lab: Lab) -> None:
    slow, n = pv(context, "slow"), pv(context, "n")
    slow.write(1, wait=False)
    slow.write(2)
    assert lab.written == [1.0, 2.0]
    n.write(5, wait=False)
    assert value(n) == 5


def test_a_callback_gets_the_response_off_the_callers_thread(
    context: Context, lab: Lab, responses: Responses
) -> None:
    x = pv(context, "x")
    x.read(wait=False, callback=lambda response: responses.take(response))
    x.write(1, wait=False, callback=responses.take)
    x.read(callback=responses.take)
    read, written, waited = responses.wait_for_number(3)
    assert isinstance(read, ReadNotifyResponse)
    assert isinstance(written, WriteNotifyResponse)
    assert waited.data[0] == 1.0
    assert all(name.startswith("user-callback-executor_") for name in responses.threads)


def test_without_a_response_there_is_nothing_to_wait_for(context: Context, lab: Lab) -> None:
    x = pv(context, "x")
    with pytest.raises(ValueError, match="notify=False"):
        x.write(1, notify=False)
    with pytest.raises(ValueError, match="notify=False"):
        x.write(1, wait=False, notify=False, callback=print)
    assert x.write(1, wait=False, notify=False) is None
    assert value(x) == 1.0


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_failure_that_nobody_waits_for_is_logged_with_its_reason(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture, use: str
) -> None:
    broken = pv(context, "broken")
    if use == "read":
        broken.read(wait=False, callback=responses.take)
    else:
        broken.write(1, wait=False, callback=responses.take)
    eventually(lambda: "the line is dead" in caplog.text)
    (record,) = caplog.records
    assert (record.levelname, record.name, record.pv) == ("WARNING", "instrumentserver.ch", "lab:broken")  # type: ignore[attr-defined]
    assert responses.items == []


def test_a_callback_may_use_its_pv_and_others(context: Context, lab: Lab, responses: Responses) -> None:
    x, n = pv(context, "x"), pv(context, "n")

    def use(response: Any) -> None:
        x.write(1.5)
        n.read(wait=False, callback=responses.take)
        responses.take(x.read())

    x.write(0.5, wait=False, callback=use)
    x.write(0.75, wait=False)
    responses.wait_for_number(2)
    assert 1.5 in responses.values


def test_a_callback_that_takes_its_time_keeps_no_operation_waiting(
    context: Context, lab: Lab, responses: Responses
) -> None:
    x, go_on = pv(context, "x"), threading.Event()
    x.read(wait=False, callback=lambda response: go_on.wait(PATIENCE))
    x.read(wait=False, callback=responses.take)
    for number in range(5):
        x.write(number)
    assert responses.items == []
    go_on.set()
    responses.wait_for_number(1)


def test_a_callback_that_fails_is_logged_and_hurts_nobody(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(response: Any) -> None:
        raise RuntimeError("mine")

    x = pv(context, "x")
    x.read(wait=False, callback=fail)
    x.read(wait=False, callback=responses.take)
    responses.wait_for_number(1)
    eventually(lambda: "mine" in caplog.text)


# Time limits


def test_what_is_not_found_times_out_and_says_its_name(context: Context, lab: Lab) -> None:
    (nothing,) = context.get_pvs("lab:nothing", timeout=0.05)
    for use in (nothing.read, lambda: nothing.write(1), nothing.wait_for_search, nothing.wait_for_connection):
        begin = time.monotonic()
        with pytest.raises(TimeoutError, match=r"lab:nothing: not connected within 0\.05 s") as caught:
            use()  # type: ignore[operator]
        assert isinstance(caught.value, ChannelTimeout)
        assert isinstance(caught.value, InstrumentServerError)
        assert 0.05 <= time.monotonic() - begin < 2


def test_a_slow_parameter_times_out_and_its_late_response_reaches_nobody(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    lab.pause = 0.3
    slow = pv(context, "slow")
    begin = time.monotonic()
    with pytest.raises(ChannelTimeout, match=r"lab:slow: no answer to a read within 0\.1 s"):
        slow.read(timeout=0.1)
    assert time.monotonic() - begin < 0.3
    slow.read(wait=False, callback=responses.take, timeout=0.1)
    eventually(lambda: "no answer to a read within 0.1 s" in caplog.text)
    slow.read(wait=False, callback=responses.take, timeout=None)
    assert len(responses.wait_for_number(1)) == 1


def test_no_time_limit_is_none(context: Context, lab: Lab) -> None:
    x = pv(context, "x", timeout=None)
    assert x.timeout is None
    x.write(1)
    assert value(x) == 1.0
    x.timeout = 0.5
    assert x.timeout == 0.5
    with pytest.raises(UsageError, match="timeout=-1 is no time"):
        x.read(timeout=-1)


@pytest.mark.slow
def test_a_server_that_hangs_costs_the_time_limit_and_little_more(
    context: Context, server: Server, lab: Lab
) -> None:
    x = pv(context, "x")
    x.read()
    with hanging(server):
        for _ in range(3):
            begin = time.monotonic()
            with pytest.raises(ChannelTimeout):
                x.read(timeout=0.3)
            assert time.monotonic() - begin < 1.5
    assert value(x) == 0.0


# Resting


def test_an_idle_pv_wakes_when_it_is_used(context: Context, lab: Lab) -> None:
    x = pv(context, "x")
    for use in (x.read, lambda: x.write(1), x.wait_for_connection):
        x.go_idle()
        assert repr(x) == "<PV name='lab:x' priority=0 (idle)>"
        assert repr(context) == "<Context searches_pending=0 circuits=0 pvs=1 idle=1>"
        assert not x.connected
        use()  # type: ignore[operator]
        assert x.connected
        assert repr(context) == "<Context searches_pending=0 circuits=1 pvs=1 idle=0>"


def test_a_pv_with_callbacks_does_not_rest(context: Context, lab: Lab, responses: Responses) -> None:
    x = pv(context, "x")
    subscription = x.subscribe()
    token = subscription.add_callback(responses.update)
    x.go_idle()
    assert x.connected
    subscription.remove_callback(token)
    x.go_idle()
    assert not x.connected


def test_a_pv_that_is_being_connected_does_not_rest(context: Context) -> None:
    (nothing,) = context.get_pvs("nobody:x")
    nothing.go_idle()
    assert "(searching....)" in repr(nothing)


def test_resting_waits_for_what_is_under_way(context: Context, lab: Lab) -> None:
    slow = pv(context, "slow")
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(slow.write, 1)
        slow.write(2, wait=False)
        slow.go_idle()
        assert 2.0 in lab.written
        assert not slow.connected or writing.done()
        writing.result(PATIENCE)


def test_subscribing_wakes(context: Context, lab: Lab, responses: Responses) -> None:
    x = pv(context, "x")
    subscription = x.subscribe()
    x.go_idle()
    subscription.add_callback(responses.update)
    lab.x(2)
    responses.wait_for_value(2.0)
    assert "(idle)" not in repr(x)
    assert "idle=0" in repr(context)
    subscription.clear()
    x.go_idle()
    assert "(idle)" in repr(x)


def test_an_idle_pv_is_told_to_be_disconnected_and_keeps_no_server_alive(
    context: Context, lab: Lab, responses: Responses
) -> None:
    x = pv(context, "x", connection_state_callback=responses.take)
    responses.wait_for_number(1)
    x.go_idle()
    assert context.circuit_managers == {}
    x.read()
    assert len(context.circuit_managers) == 1


# The rest


def test_a_pv_knows_what_it_is_connected_with(context: Context, server: Server, lab: Lab) -> None:
    x = pv(context, "x")
    assert (x.name, x.priority, x.context, x.connected) == ("lab:x", 0, context, True)
    assert x.channel is not None and x.circuit_manager is not None
    assert (x.channel.native_data_type, x.channel.native_data_count) == (ChannelType.DOUBLE, 1)
    assert x.access_rights == AccessRights.READ | AccessRights.WRITE
    assert x.circuit_manager.circuit.address == server.address
    assert 0 <= x.time_since_last_heard() < 10


def test_a_pv_takes_no_other_attributes(context: Context) -> None:
    (x,) = context.get_pvs("nobody:x")
    with pytest.raises(AttributeError):
        x.note = "mine"  # type: ignore[attr-defined]


def test_a_parameter_that_goes_is_disconnected_and_comes_back(context: Context, lab: Lab) -> None:
    lab.grow("extra")
    extra = pv(context, "extra")
    lab.shrink("extra")
    eventually(lambda: not extra.connected)
    assert "(searching....)" in repr(extra)
    with pytest.raises(ChannelTimeout):
        extra.read(timeout=0.05)
    lab.grow("extra")
    assert value(extra) == 1.0


def test_a_read_that_waits_is_done_when_the_instrument_comes(context: Context, server: Server) -> None:
    (x,) = context.get_pvs("lab:x")
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(x.read)
        eventually(reading.running)
        server.create(Lab, "lab")
        assert reading.result(PATIENCE).data[0] == 0.0  # type: ignore[union-attr]
