"""Circuits: events off and on, and what is told about requests and responses."""

from __future__ import annotations

import logging

import pytest
from context.lab import Lab, Responses
from received import eventually

from instrumentserver import Server, start_server
from instrumentserver.context import PV, Context, VirtualCircuitManager


@pytest.fixture
def n(context: Context, lab: Lab) -> PV:
    (found,) = context.get_pvs("lab:n")
    found.wait_for_connection()
    return found


def circuit_of(pv: PV) -> VirtualCircuitManager:
    assert pv.circuit_manager is not None
    return pv.circuit_manager


def test_a_circuit_knows_where_it_leads(n: PV, server: Server, responses: Responses) -> None:
    circuit = circuit_of(n)
    assert (circuit.circuit.address, circuit.circuit.priority) == (server.address, 0)
    assert circuit.connected
    assert not circuit.dead.is_set()
    assert circuit.subscriptions == {}
    subscription = n.subscribe()
    subscription.add_callback(responses.update)
    assert circuit.subscriptions == {subscription.subscriptionid: subscription}
    assert repr(circuit) == (
        f"<VirtualCircuitManager address='{server.address}' priority=0 state=CONNECTED pvs=1>"
    )


def test_events_off_drops_updates_and_events_on_brings_the_newest(n: PV, responses: Responses) -> None:
    n.subscribe().add_callback(responses.update)
    for number in (1, 2, 3):
        n.write(number)
    responses.wait_for_value(3)
    circuit_of(n).events_off()
    for number in (4, 5, 6):
        n.write(number)
    circuit_of(n).events_on()
    for number in (7, 8, 9):
        n.write(number)
    responses.wait_for_value(9)
    assert responses.values == [0, 1, 2, 3, 6, 7, 8, 9]


def test_a_subscription_that_begins_while_events_are_off_waits(n: PV, responses: Responses) -> None:
    circuit_of(n).events_off()
    n.subscribe().add_callback(responses.update)
    for number in range(1, 50):
        n.write(number)
    assert len(responses.items) <= 1
    circuit_of(n).events_on()
    responses.wait_for_value(49)
    # The first one may come before; of all that were written while events were off, only the newest does.
    assert responses.values in ([49], [0, 49])


def test_events_are_off_for_the_priority_that_it_was_said_to(
    context: Context, n: PV, responses: Responses
) -> None:
    (other,) = context.get_pvs("lab:n", priority=5)
    other.wait_for_connection()
    held = Responses()
    n.subscribe().add_callback(held.update)
    other.subscribe().add_callback(responses.update)
    held.wait_for_number(1)
    circuit_of(n).events_off()
    n.write(5)
    responses.wait_for_value(5)
    assert held.values == [0]
    circuit_of(n).events_on()
    held.wait_for_value(5)


@pytest.mark.slow
def test_events_stay_off_over_a_restart_of_the_server(
    context: Context, server: Server, n: PV, responses: Responses
) -> None:
    n.subscribe().add_callback(responses.update)
    responses.wait_for_number(1)
    circuit_of(n).events_off()
    server.kill()
    eventually(lambda: not n.connected)
    start_server(server.name, linger=5).create(Lab, "lab")
    n.wait_for_connection()
    for number in range(1, 20):
        n.write(number)
    assert len(responses.items) <= 2
    circuit_of(n).events_on()
    responses.wait_for_value(19)
    assert len(responses.items) <= 3


def test_a_circuit_is_closed_when_its_last_pv_rests(context: Context, n: PV) -> None:
    circuit = circuit_of(n)
    n.go_idle()
    assert circuit.dead.is_set()
    assert not circuit.connected
    n.read()
    assert circuit_of(n) is not circuit


def test_requests_and_responses_are_told_for_one_pv_or_one_circuit(
    context: Context, n: PV, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    (x,) = context.get_pvs("lab:x")
    x.read()
    assert caplog.records == []
    x.log.setLevel("DEBUG")
    n.read()
    x.read()
    assert {record.pv for record in caplog.records} == {"lab:x"}  # type: ignore[attr-defined]
    assert [record.direction for record in caplog.records] == ["--->>>", "<<<---"]  # type: ignore[attr-defined]
    (sent, answered) = caplog.records
    assert (sent.name, sent.levelname, sent.role) == ("instrumentserver.ch", "DEBUG", "CLIENT")  # type: ignore[attr-defined]
    assert sent.their_address == server.address  # type: ignore[attr-defined]
    assert sent.our_address.startswith("pid:")  # type: ignore[attr-defined]
    assert "lab.x" in sent.getMessage()
    assert "0.0" in answered.getMessage()
    caplog.clear()
    x.log.setLevel("NOTSET")
    circuit_of(n).log.setLevel("DEBUG")
    x.read()
    n.write(1)
    assert [record.name for record in caplog.records] == ["instrumentserver.circ"] * 4
    circuit_of(n).log.setLevel("NOTSET")


def test_updates_are_told_too(n: PV, responses: Responses, caplog: pytest.LogCaptureFixture) -> None:
    n.log.setLevel("DEBUG")
    n.subscribe().add_callback(responses.update)
    responses.wait_for_number(1)
    eventually(lambda: "update EventAddResponse" in caplog.text)


@pytest.mark.parametrize("name", ["instrumentserver.ch", "instrumentserver.circ", "instrumentserver.ctx"])
def test_every_family_of_loggers_can_be_turned_up(
    context: Context, lab: Lab, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.DEBUG, name):
        (x,) = context.get_pvs("lab:x")
        x.read()
        context.disconnect()
    assert {record.name for record in caplog.records} == {name}


def test_the_search_is_told(context: Context, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "instrumentserver.search"):
        context.get_pvs("lab:x")[0].wait_for_connection()
    assert "has 1 of 1 names" in caplog.text
