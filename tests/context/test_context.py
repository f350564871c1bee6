"""Contexts: PVs at once, connected in the background; numbers are those of the contract of the original client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from context.lab import PATIENCE, Lab, Responses, hanging
from received import eventually

from instrumentserver import Server, start_server
from instrumentserver.context import (
    PV,
    AccessRights,
    ChannelTimeout,
    Context,
    ContextDisconnectedError,
    SharedBroadcaster,
)
from instrumentserver.directory import Directory
from instrumentserver.errors import UsageError


def test_pvs_are_there_before_they_are_connected(context: Context) -> None:
    begin = time.perf_counter()
    first, second = context.get_pvs("nobody:x", "nobody:dt")
    assert time.perf_counter() - begin < 1
    assert isinstance(first, PV)
    assert (first.name, second.name, first.connected) == ("nobody:x", "nobody:dt", False)
    assert repr(second) == "<PV name='nobody:dt' priority=0 (searching....)>"
    assert repr(context) == "<Context searches_pending=2 circuits=0 pvs=2 idle=0>"


def test_pvs_connect_by_themselves(context: Context, server: Server, lab: Lab) -> None:
    (x,) = context.get_pvs("lab:x")
    x.wait_for_search(timeout=PATIENCE)
    x.wait_for_connection()
    assert x.connected
    assert repr(x) == (
        f"<PV name='lab:x' priority=0 address='{server.address}', circuit_state=States.CONNECTED, "
        f"channel_state=States.CONNECTED>"
    )
    assert repr(context) == "<Context searches_pending=0 circuits=1 pvs=1 idle=0>"
    assert x.circuit_manager is not None
    assert context.circuit_managers == {(server.address, 0): x.circuit_manager}


@pytest.mark.parametrize(
    "name", ["lab:ch1:v", "lab.ch1.v", "lab:ch1.v", "{server}/lab.ch1.v", "unix:{server}/lab.ch1.v"]
)
def test_every_spelling_connects(context: Context, server: Server, lab: Lab, name: str) -> None:
    (v,) = context.get_pvs(name.format(server=server.name))
    assert v.read().data[0] == 0.0


def test_a_name_with_a_server_means_that_server_only(
    context: Context, server: Server, lab: Lab, new_name: Callable[[], str]
) -> None:
    other = start_server(new_name(), linger=5)
    (elsewhere, here) = context.get_pvs(f"{other.name}/lab:x", f"{server.name}/lab:x")
    here.wait_for_connection()
    with pytest.raises(ChannelTimeout):
        elsewhere.wait_for_connection(timeout=0.2)


def test_a_pv_is_made_once_for_each_name_and_priority(context: Context, lab: Lab) -> None:
    (x,) = context.get_pvs("lab:x")
    assert context.get_pvs("lab:x", "lab:x") == [x, x]
    (other,) = context.get_pvs("lab:x", priority=1)
    assert other is not x
    with Context() as second:
        assert second.get_pvs("lab:x")[0] is not x
    x.wait_for_connection()
    other.wait_for_connection()
    assert len(context.circuit_managers) == 2
    assert x.circuit_manager is not other.circuit_manager


@pytest.mark.parametrize("number", [1, 4, 16])
def test_many_threads_see_one_object_and_use_it(context: Context, lab: Lab, number: int) -> None:
    barrier = threading.Barrier(number)

    def use(value: int) -> tuple[PV, float]:
        barrier.wait()
        (n,) = context.get_pvs("lab:n")
        n.wait_for_connection()
        n.write(value)
        return n, n.read().data[0]

    with ThreadPoolExecutor(number) as pool:
        found = list(pool.map(use, range(number)))
    assert len({id(pv) for pv, _ in found}) == 1
    assert all(0 <= value < number for _, value in found)


# Callbacks of state and rights


def test_states_are_connected_and_disconnected(
    context: Context, server: Server, lab: Lab, responses: Responses
) -> None:
    (x,) = context.get_pvs("lab:x", connection_state_callback=responses.take)
    responses.wait_for_number(1)
    lab.close()
    responses.wait_for_number(2)
    server.create(Lab, "lab")
    responses.wait_for_number(3)
    assert responses.items == ["connected", "disconnected", "connected"]
    assert set(responses.first) == {x}
    assert threading.current_thread().name not in responses.threads


def test_rights_are_told_when_they_are_known_and_when_they_change(
    context: Context, lab: Lab, responses: Responses
) -> None:
    (readonly,) = context.get_pvs("lab:readonly", access_rights_callback=responses.take)
    responses.wait_for_number(1)
    assert responses.items == [AccessRights.READ]
    assert readonly.access_rights is not None
    assert not readonly.access_rights & AccessRights.WRITE
    lab.turn("readonly", True)
    responses.wait_for_number(2)
    assert responses.items[1] == AccessRights.READ | AccessRights.WRITE == 3
    assert context.get_pvs("lab:x")[0].access_rights in (None, 3)


def test_a_callback_for_a_connected_pv_is_called_at_once_and_no_other(context: Context, lab: Lab) -> None:
    first, second, third = Responses(), Responses(), Responses()
    (x,) = context.get_pvs("lab:x", connection_state_callback=first.take)
    x.wait_for_connection()
    first.wait_for_number(1)
    again = context.get_pvs("lab:x", connection_state_callback=second.take, access_rights_callback=third.take)
    second.wait_for_number(1)
    third.wait_for_number(1)
    assert again == [x]
    assert (first.items, second.items, third.items) == (["connected"], ["connected"], [3])


def test_each_callback_is_called_once_for_each_change(
    context: Context, lab: Lab, responses: Responses
) -> None:
    context.get_pvs("lab:x", connection_state_callback=responses.take)
    context.get_pvs("lab:x", connection_state_callback=responses.take)
    responses.wait_for_number(2)
    lab.close()
    responses.wait_for_number(4)
    assert responses.items == ["connected", "connected", "disconnected", "disconnected"]


def test_callbacks_may_be_lambdas_and_may_fail(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(pv: PV, state: str) -> None:
        raise RuntimeError("mine")

    context.get_pvs("lab:x", connection_state_callback=fail)
    context.get_pvs("lab:x", connection_state_callback=lambda pv, state: responses.take(state))
    assert responses.wait_for_number(1) == ["connected"]
    eventually(lambda: "failed" in caplog.text)


def test_a_callback_may_use_the_pv(context: Context, lab: Lab, responses: Responses) -> None:
    def read(pv: PV, state: str) -> None:
        responses.take(pv.read().data[0])

    context.get_pvs("lab:x", connection_state_callback=read)
    assert responses.wait_for_number(1) == [0.0]


def test_callbacks_may_be_added_to_a_pv_and_removed(context: Context, lab: Lab, responses: Responses) -> None:
    (x,) = context.get_pvs("lab:x")
    x.wait_for_connection()
    rights = Responses()
    token = x.connection_state_callback.add_callback(responses.take)
    x.access_rights_callback.add_callback(rights.take)
    responses.wait_for_number(1)
    rights.wait_for_number(1)
    assert list(x.connection_state_callback.callbacks) == [token]
    x.connection_state_callback.remove_callback(token)
    x.connection_state_callback.remove_callback(token + 7)
    second = Responses()
    x.connection_state_callback.add_callback(second.take)
    lab.close()
    second.wait_for_number(2)
    assert responses.items == ["connected"]


# Bad names


@pytest.mark.parametrize("name", ["", "lab", "lab x.v", "a." + "b" * 1000, None, 7, b"lab.x"])
def test_a_bad_name_raises_in_the_caller_and_hurts_nobody(context: Context, lab: Lab, name: Any) -> None:
    with pytest.raises(UsageError):
        context.get_pvs("lab:x", name, "lab:n")
    assert context.pvs == {}
    (x,) = context.get_pvs("lab:x")
    x.wait_for_connection()


@pytest.mark.parametrize("priority", [-1, 100, "high", None])
def test_a_bad_priority_raises(context: Context, priority: Any) -> None:
    with pytest.raises(UsageError, match="is none of 0 to 99"):
        context.get_pvs("lab:x", priority=priority)


def test_no_names_are_no_pvs(context: Context) -> None:
    assert context.get_pvs() == []


# Settings


def test_settings_have_the_usual_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSTRUMENTSERVER_TIMEOUT", raising=False)
    with Context() as context:
        assert (context.timeout, context.host_name) == (2.0, os.uname().nodename)
        assert context.client_name
        assert context.get_pvs("a.b")[0].timeout == 2.0
        assert context.get_pvs("a.c", timeout=None)[0].timeout is None
    with Context(timeout=7.0, host_name="here", client_name="me") as context:
        assert (context.timeout, context.host_name, context.client_name) == (7.0, "here", "me")


@pytest.mark.parametrize(("text", "timeout"), [("3.5", 3.5), ("0", 0.0), ("none", None), ("", 2.0)])
def test_the_environment_has_the_default_timeout(
    monkeypatch: pytest.MonkeyPatch, text: str, timeout: float | None
) -> None:
    monkeypatch.setenv("INSTRUMENTSERVER_TIMEOUT", text)
    with Context() as context:
        assert context.timeout == timeout


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_bad_default_timeout_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("INSTRUMENTSERVER_TIMEOUT", text)
    with pytest.raises(UsageError, match="INSTRUMENTSERVER_TIMEOUT"):
        Context()


def test_two_contexts_may_share_a_broadcaster(lab: Lab) -> None:
    broadcaster = SharedBroadcaster()
    first, second = Context(broadcaster), Context(broadcaster)
    (x,), (same,) = first.get_pvs("lab:x"), second.get_pvs("lab:x")
    x.wait_for_connection(timeout=PATIENCE)
    same.wait_for_connection(timeout=PATIENCE)
    first.disconnect()
    assert same.read(timeout=PATIENCE).data[0] == 0.0
    (n,) = second.get_pvs("lab:n")
    n.wait_for_connection(timeout=PATIENCE)
    second.disconnect()
    broadcaster.disconnect()
    with pytest.raises(UsageError, match="give them to the SharedBroadcaster"):
        Context(broadcaster, servers=["foo"])


# The end


def test_disconnect_is_the_end(lab: Lab) -> None:
    context = Context(timeout=PATIENCE)
    (x,) = context.get_pvs("lab:x")
    x.wait_for_connection()
    context.disconnect()
    context.disconnect()
    assert not x.connected
    for use in (
        lambda: context.get_pvs("lab:x"),
        x.read,
        lambda: x.write(1),
        x.wait_for_connection,
        x.subscribe,
    ):
        with pytest.raises(ContextDisconnectedError, match="was disconnected; make another one"):
            use()  # type: ignore[operator]


def test_disconnect_during_a_search_is_quiet_and_ends_the_threads(
    lab: Lab, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    for _ in range(20):
        context = Context()
        context.get_pvs("lab:x", "nobody:x")
        context.disconnect()
    left = {thread.name for thread in set(threading.enumerate()) - before if "search" in thread.name}
    assert left == set()
    assert (capsys.readouterr().err, caplog.text) == ("", "")


def test_disconnect_ends_waiting(lab: Lab) -> None:
    context = Context()
    (nothing,) = context.get_pvs("nobody:x", timeout=None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(nothing.read)
        eventually(waiting.running)
        context.disconnect()
        with pytest.raises(ContextDisconnectedError):
            waiting.result(PATIENCE)


@pytest.mark.slow
def test_disconnect_from_a_server_that_hangs_takes_no_longer_for_many_subscriptions(
    server: Server, lab: Lab
) -> None:
    context = Context(timeout=PATIENCE)
    collected = [Responses() for _ in range(5)]
    for pv, each in zip(
        context.get_pvs("lab:x", "lab:n", "lab:on", "lab:mode", "lab:text"), collected, strict=True
    ):
        pv.subscribe().add_callback(each.update)
        each.wait_for_number(1)
    with hanging(server):
        begin = time.monotonic()
        context.disconnect()
        assert time.monotonic() - begin < 10


def test_disconnect_tells_and_lets_the_servers_go(new_name: Callable[[], str], responses: Responses) -> None:
    server = start_server(new_name(), linger=0.2)
    lab = server.create(Lab, "lab")
    context = Context()
    context.get_pvs("lab:x", connection_state_callback=responses.take)
    responses.wait_for_number(1)
    lab._link.session.close()
    context.disconnect()
    assert responses.wait_for_number(2) == ["connected", "disconnected"]
    eventually(lambda: server.name not in [each.name for each in Directory.default().records()])
