"""Subscriptions; numbers are those of the contract of the original client."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from context.lab import PATIENCE, Lab, Responses
from received import eventually

from instrumentserver import Server
from instrumentserver.context import PV, ChannelType, Context, EventAddResponse, Subscription


@pytest.fixture
def n(context: Context, lab: Lab) -> PV:
    (found,) = context.get_pvs("lab:n")
    found.wait_for_connection()
    return found


def watched(server: Server) -> Any:
    return server.status()["watched"]


def test_nothing_is_asked_before_the_first_callback(n: PV, server: Server, responses: Responses) -> None:
    before = watched(server)
    subscription = n.subscribe()
    assert watched(server) == before
    assert subscription.subscriptionid is None
    assert repr(subscription) == "<Subscription to 'lab:n', id=None>"
    token = subscription.add_callback(responses.update)
    assert watched(server) != before
    assert repr(subscription) == f"<Subscription to 'lab:n', id={subscription.subscriptionid}>"
    subscription.remove_callback(token)
    assert watched(server) == before


def test_the_same_arguments_are_the_same_subscription(n: PV) -> None:
    first = n.subscribe()
    assert n.subscribe() is first
    assert n.subscribe(data_type="native") is first
    others = [
        n.subscribe("time"),
        n.subscribe(data_count=1),
        n.subscribe(mask=1),
        n.subscribe(lossless=False),
        n.subscribe(deadband=1.0),
        n.subscribe(period=1.0),
    ]
    assert len({id(each) for each in (first, *others)}) == 7
    assert n.subscribe("time") is others[0]
    assert len(n.subscriptions) == 7
    assert first.pv is n


def test_the_present_value_comes_first_and_then_every_change_in_order(
    n: PV, lab: Lab, responses: Responses
) -> None:
    n.write(1000)
    n.subscribe().add_callback(responses.update)
    responses.wait_for_number(1)
    for number in range(100):
        n.write(number)
    responses.wait_for_number(101)
    assert responses.values == [1000, *range(100)]
    assert all(isinstance(each, EventAddResponse) for each in responses.items)
    assert [each.dropped for each in responses.items] == [0] * 101


def test_what_the_driver_changes_itself_comes_in_order(n: PV, lab: Lab, responses: Responses) -> None:
    n.subscribe(queue=10_000).add_callback(responses.update)
    responses.wait_for_number(1)
    lab.raise_n(2000)
    responses.wait_for_value(2000)
    assert responses.values == list(range(2001))


def test_a_second_callback_is_called_at_once_with_the_latest(
    n: PV, server: Server, responses: Responses
) -> None:
    subscription = n.subscribe()
    subscription.add_callback(responses.update)
    responses.wait_for_number(1)
    before = watched(server)
    second = Responses()
    subscription.add_callback(second.update)
    assert second.values == [0]
    assert second.threads == [threading.current_thread().name]
    assert watched(server) == before
    n.write(3)
    second.wait_for_value(3)
    responses.wait_for_value(3)


def test_tokens_count_and_unknown_ones_are_ignored(n: PV) -> None:
    callbacks = [Responses() for _ in range(3)]
    subscription = n.subscribe()
    assert [subscription.add_callback(each.update) for each in callbacks] == [0, 1, 2]
    subscription.remove_callback(99)
    subscription.remove_callback(1)
    assert list(subscription.callbacks) == [0, 2]


@pytest.mark.parametrize("how", ["clear", "unsubscribe_all", "remove_callback"])
def test_nothing_arrives_after_the_end(n: PV, lab: Lab, responses: Responses, how: str) -> None:
    subscription = n.subscribe()
    lab.raise_n(10)
    token = subscription.add_callback(responses.update)
    thread = threading.Thread(target=lambda: [n.write(number) for number in range(200)])
    thread.start()
    responses.wait_for_number(20)
    {
        "clear": subscription.clear,
        "unsubscribe_all": n.unsubscribe_all,
        "remove_callback": lambda: subscription.remove_callback(token),
    }[how]()
    number = len(responses.items)
    thread.join()
    n.write(5)
    assert len(responses.items) == number
    assert subscription.callbacks == {}


def test_a_callback_that_nobody_has_any_more_ends_the_subscription(n: PV, server: Server) -> None:
    before = watched(server)
    responses = Responses()
    subscription = n.subscribe()
    subscription.add_callback(responses.update)
    responses.wait_for_number(1)
    del responses
    gc.collect()
    eventually(lambda: watched(server) == before)
    assert subscription.callbacks == {}
    again = Responses()
    subscription.add_callback(again.update)
    again.wait_for_number(1)


def test_an_inline_lambda_is_never_called(n: PV, responses: Responses) -> None:
    subscription = n.subscribe()
    subscription.add_callback(lambda sub, response: responses.take(response))
    gc.collect()
    n.write(1)
    second = Responses()
    subscription.add_callback(second.update)
    second.wait_for_value(1)
    assert responses.items == []


def test_a_callback_that_fails_hurts_nobody(
    n: PV, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sub: Subscription, response: Any) -> None:
        raise RuntimeError("mine")

    subscription = n.subscribe()
    subscription.add_callback(fail)
    subscription.add_callback(responses.update)
    subscription.add_callback(fail)
    n.write(1)
    responses.wait_for_value(1)
    eventually(lambda: caplog.text.count("RuntimeError: mine") >= 3)


class Old:
    """Has callbacks with the signature of old programs."""

    def __init__(self) -> None:
        self.responses = Responses()

    def method(self, response: Any) -> None:
        self.responses.take(response)

    def new(self, sub: Subscription, response: Any) -> None:
        self.responses.take(sub, response)


def test_callbacks_of_the_old_signature_are_called_after_one_warning(n: PV) -> None:
    old = Old()

    def function(response: Any) -> None:
        old.responses.take(response)

    for callback in (old.method, function, old.responses.items.append):
        with pytest.warns(UserWarning, match=r"function\(subscription, response\)") as caught:
            n.subscribe().add_callback(callback)
        assert [warning.filename for warning in caught] == [__file__]
    n.write(7)
    old.responses.wait(lambda: old.responses.values.count(7) == 3)


def test_callbacks_of_the_new_signature_are_called_without_a_warning(n: PV) -> None:
    new = Old()
    subscription = n.subscribe()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        subscription.add_callback(new.new)
    new.responses.wait_for_number(1)
    assert new.responses.first == [subscription]


def test_one_callback_of_many_subscriptions_tells_them_apart(
    context: Context, lab: Lab, responses: Responses
) -> None:
    pvs = context.get_pvs("lab:n", "lab:x", "lab:on")
    subscriptions = [pv.subscribe() for pv in pvs]
    for subscription in subscriptions:
        subscription.add_callback(responses.update)
    responses.wait_for_number(3)
    assert {sub.pv.name for sub in responses.first} == {"lab:n", "lab:x", "lab:on"}


def test_a_callback_may_write_and_read_and_subscribe(
    context: Context, n: PV, lab: Lab, responses: Responses
) -> None:
    (x,) = context.get_pvs("lab:x")
    second = Responses()

    def follow(sub: Subscription, response: Any) -> None:
        x.write(response.data[0] / 10)
        x.subscribe().add_callback(second.update)
        responses.take(x.read())

    n.subscribe().add_callback(follow)
    n.write(20)
    responses.wait_for_value(2.0)
    second.wait_for_value(2.0)
    x.unsubscribe_all()


def test_a_subscription_made_before_the_connection_begins_with_it(
    context: Context, server: Server, responses: Responses
) -> None:
    (n,) = context.get_pvs("lab:n")
    subscription = n.subscribe()
    subscription.add_callback(responses.update)
    assert subscription.subscriptionid is None
    server.create(Lab, "lab")
    responses.wait_for_number(1)
    n.write(4)
    responses.wait_for_value(4)


def test_updates_have_the_type_that_was_asked_for(context: Context, lab: Lab, responses: Responses) -> None:
    (mode,) = context.get_pvs("lab:mode")
    mode.subscribe(data_type=ChannelType.STRING).add_callback(responses.update)
    responses.wait_for_number(1)
    second = Responses()
    mode.subscribe("time").add_callback(second.update)
    mode.write("ac")
    assert responses.wait_for_number(2)[1].data == [b"ac"]
    update = second.wait_for_number(2)[1]
    assert (update.data_type, list(update.data)) == (ChannelType.TIME_ENUM, [1])
    assert update.metadata.enum_strings == (b"dc", b"ac")


def test_the_count_limits_updates(context: Context, lab: Lab, responses: Responses) -> None:
    (wave,) = context.get_pvs("lab:wave")
    wave.subscribe(data_count=3).add_callback(responses.update)
    assert list(responses.wait_for_number(1)[0].data) == [0, 1, 2]


def test_the_latest_response_is_kept(n: PV, responses: Responses) -> None:
    subscription = n.subscribe()
    assert subscription.most_recent_response is None
    subscription.add_callback(responses.update)
    n.write(6)
    responses.wait_for_value(6)
    latest = subscription.most_recent_response
    assert latest is not None
    assert latest.data[0] == 6


def test_the_newest_is_enough_where_that_is_said(n: PV, lab: Lab) -> None:
    entered, go_on = threading.Event(), threading.Event()
    values = []

    def slow(sub: Subscription, response: Any) -> None:
        values.append(int(response.data[0]))
        entered.set()
        go_on.wait(PATIENCE)

    subscription = n.subscribe(lossless=False)
    subscription.add_callback(slow)
    assert entered.wait(PATIENCE)
    lab.raise_n(500)
    go_on.set()
    eventually(lambda: values[-1] == 500)
    assert len(values) < 50
    subscription.clear()


def test_a_slow_callback_loses_the_oldest_and_is_told_how_many(n: PV, lab: Lab) -> None:
    entered, go_on = threading.Event(), threading.Event()
    got: list[Any] = []

    def slow(sub: Subscription, response: Any) -> None:
        got.append(response)
        entered.set()
        go_on.wait(PATIENCE)

    subscription = n.subscribe(queue=10)
    subscription.add_callback(slow)
    assert entered.wait(PATIENCE)
    lab.raise_n(1000)
    go_on.set()
    eventually(lambda: got[-1].data[0] == 1000)
    assert sum(1 + each.dropped for each in got) == 1001
    assert len(got) < 60
    subscription.clear()


def test_a_polled_parameter_is_told_with_its_failures(
    context: Context, lab: Lab, responses: Responses
) -> None:
    (fresh,) = context.get_pvs("lab:fresh")
    fresh.subscribe(period=0.01).add_callback(responses.update)
    responses.wait_for_number(3)
    assert responses.values[:3] == sorted(responses.values[:3])
    fresh.unsubscribe_all()


def test_a_subscription_can_be_waited_for(n: PV, lab: Lab) -> None:
    subscription = n.subscribe()
    lab.n(3)
    assert subscription.wait_for(lambda value: value == 3, PATIENCE).value == 3


def test_an_idle_pv_is_woken_by_one_who_waits(n: PV, lab: Lab) -> None:
    n.go_idle()
    subscription = n.subscribe()
    lab.n(4)
    assert subscription.wait_for(lambda value: value == 4, PATIENCE).value == 4
    assert n.connected


def test_an_update_that_has_no_form_is_logged_and_the_next_one_comes(
    context: Context, lab: Lab, responses: Responses, caplog: pytest.LogCaptureFixture
) -> None:
    (readonly,) = context.get_pvs("lab:x")
    subscription = readonly.subscribe(data_type=ChannelType.ENUM)
    subscription.add_callback(responses.update)
    responses.wait_for_number(1)
    (text,) = context.get_pvs("lab:text")
    numbers = text.subscribe(data_type=ChannelType.DOUBLE)
    second = Responses()
    numbers.add_callback(second.update)
    eventually(lambda: "cannot be shown" in caplog.text)
    text.write("1.5")
    second.wait_for_value(1.5)


@pytest.fixture(autouse=True)
def no_subscription_left(context: Context) -> Iterator[None]:
    yield
    for pv in context.pvs.values():
        pv.unsubscribe_all()
