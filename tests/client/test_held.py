"""Generators, iterators and context managers of a server's methods."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from drivers import Guard, Onlooker, Streaming

from instrumentserver import (
    CallTimeout,
    NotPortable,
    Server,
    ServerLost,
    UnknownName,
    list_servers,
    start_server,
    time_limit,
)
from instrumentserver.client.session import Session


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("home")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """Close what a test made; the server of the module goes on."""
    yield
    for server in list_servers():
        if server != home:
            server.stop()
    for instrument in home.instruments.values():
        instrument.close()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of the requests that this process sends from now on."""
    sent: list[Any] = []
    send = Session.request

    def request(session: Session, request: list[Any], frame: bytes | None = None) -> list[Any]:
        sent.append(request)
        return send(session, request, frame)

    monkeypatch.setattr(Session, "request", request)
    return sent


@pytest.fixture
def streaming(messages: list[Any], home: Server, tmp_path: Path) -> Streaming:
    streaming = home.create(Streaming, "streaming", str(tmp_path))
    messages.clear()
    return streaming


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Streaming]:
    """Yield the same instrument in this process."""
    streaming = Streaming("here", str(tmp_path))
    yield streaming
    streaming.close()


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; return whether it does within 5 s."""
    pause, give_up = Event(), time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        pause.wait(0.002)
    return condition()


# Generators


def test_items_are_made_when_they_are_asked_for(streaming: Streaming) -> None:
    counting = streaming.count(3, step=10)
    assert isinstance(counting, Generator)
    assert iter(counting) is counting
    assert streaming.made == []
    assert next(counting) == 0
    assert streaming.made == [0]
    assert list(counting) == [10, 20]
    assert streaming.made == [0, 10, 20]
    assert streaming.ended == ["finally"]
    with pytest.raises(StopIteration):
        next(counting)


def test_each_item_is_one_message(streaming: Streaming, messages: list[Any]) -> None:
    for number, _ in enumerate(streaming.count(5)):
        assert len(messages) == 2 + number
    assert len(messages) == 7


def test_endless_streams_and_tools_of_python(streaming: Streaming) -> None:
    assert list(itertools.islice(streaming.count(10**9), 3)) == [0, 1, 2]
    assert sum(value for value in streaming.count(4)) == 6
    assert list(zip(streaming.count(2), streaming.count(2, step=5), strict=True)) == [(0, 0), (1, 5)]
    assert 3 in streaming.count(5)


def test_arrays_arrive_one_by_one(streaming: Streaming) -> None:
    for number, trace in enumerate(streaming.traces(3)):
        np.testing.assert_array_equal(trace, np.full(1000, float(number)))


def test_the_returned_value_comes_at_the_end(streaming: Streaming) -> None:
    def through() -> Iterator[Any]:
        returned = yield from streaming.count(2)
        yield ["returned", returned]

    assert list(through()) == [0, 1, ["returned", 2]]
    counting = streaming.count(0)
    with pytest.raises(StopIteration) as end:
        next(counting)
    assert end.value.value == 0
    with pytest.raises(StopIteration) as again:
        next(counting)
    assert again.value.value is None


def test_values_and_errors_are_sent_into_a_generator(streaming: Streaming, local: Streaming) -> None:
    for each in (streaming, local):
        averages = each.averages()
        assert next(averages) is None
        assert [averages.send(value) for value in (1.0, 2.0, 6.0)] == [1.0, 1.5, 3.0]
        assert averages.throw(ValueError("mine")) == "mine"
        assert averages.throw(ValueError) == ""
        assert averages.send(3.0) == 3.0
        with pytest.raises(KeyError, match="not caught"):
            averages.throw(KeyError("not caught"))
        with pytest.raises(StopIteration):
            averages.send(1.0)
        with pytest.raises(ZeroDivisionError):
            averages.throw(ZeroDivisionError())


def test_a_value_that_comes_too_early_does_not_end_a_generator(
    streaming: Streaming, local: Streaming
) -> None:
    for each in (streaming, local):
        averages = each.averages()
        with pytest.raises(TypeError, match="just-started"):
            averages.send(1.0)
        assert next(averages) is None
        assert averages.send(1.0) == 1.0


def test_an_error_that_comes_out_again_is_the_one_that_was_thrown_in(
    streaming: Streaming, local: Streaming
) -> None:
    for each in (streaming, local):
        counting, error = each.count(5), ValueError("mine")
        next(counting)
        with pytest.raises(ValueError) as raised:
            counting.throw(error)
        assert raised.value is error
        assert each.ended == ["ValueError", "finally"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, GeneratorExit, SystemExit])
def test_what_ends_programs_can_be_thrown_in(streaming: Streaming, interrupt: type[BaseException]) -> None:
    counting = streaming.count(5)
    next(counting)
    with pytest.raises(BaseException) as raised:
        counting.throw(interrupt())
    assert streaming.ended == [interrupt.__name__, "finally"]
    assert isinstance(raised.value, interrupt)


def test_closing_ends_it_at_once(streaming: Streaming) -> None:
    counting = streaming.count(5)
    next(counting)
    counting.close()
    assert streaming.ended == ["GeneratorExit", "finally"]
    counting.close()
    assert list(counting) == []
    streaming.count(5).close()
    assert streaming.ended == ["GeneratorExit", "finally"]


def test_leaving_a_loop_ends_it_soon(streaming: Streaming) -> None:
    for value in streaming.count(5):
        if value == 2:
            break
    assert soon(lambda: streaming.ended == ["GeneratorExit", "finally"])
    assert streaming.made == [0, 1, 2]


def test_one_that_nobody_has_any_more_ends_soon(streaming: Streaming) -> None:
    counting = streaming.count(5)
    ring: list[Any] = [counting]
    ring.append(ring)
    next(counting)
    del counting, ring
    gc.collect()
    assert soon(lambda: streaming.ended == ["GeneratorExit", "finally"])


def test_an_error_inside_arrives_after_the_items_and_ends_it(streaming: Streaming) -> None:
    failing, got = streaming.fail_at(2), []
    with pytest.raises(OSError, match="the line broke") as raised:
        for value in failing:
            got.append(value)
    assert got == [0, 1]
    assert raised.value.errno == 5
    assert "in fail_at" in "".join(raised.value.__notes__)
    assert list(failing) == []


def test_one_whose_waiting_was_given_up_ends_when_it_can(streaming: Streaming, tmp_path: Path) -> None:
    waiting = streaming.wait_inside()
    assert next(waiting) == "at once"
    with pytest.raises(CallTimeout), time_limit(0.05):
        next(waiting)
    assert list(waiting) == []
    (tmp_path / "open").touch()
    assert soon(lambda: streaming.ended == ["finally"])


def test_several_at_once_and_calls_in_between(streaming: Streaming) -> None:
    one, two = streaming.count(3), streaming.count(3, step=10)
    assert [(next(one), next(two), streaming.ended) for _ in range(3)] == [
        (0, 0, []),
        (1, 10, []),
        (2, 20, []),
    ]
    assert (list(one), list(two)) == ([], [])


def test_generators_of_several_threads_are_apart(streaming: Streaming) -> None:
    def run(number: int) -> list[list[int]]:
        return [[inner, *streaming.count(3, step=number)] for inner in streaming.count(4, step=number)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(1, 5)))
    assert results == [[[outer * step, 0, step, 2 * step] for outer in range(4)] for step in range(1, 5)]


def test_one_generator_may_be_used_by_threads_in_turn(streaming: Streaming) -> None:
    counting = streaming.count(3)
    with ThreadPoolExecutor(1) as pool:
        assert [next(counting), pool.submit(next, counting).result(), next(counting)] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["list", "map", "zip"])
def test_other_iterators_are_iterated_over(streaming: Streaming, local: Streaming, kind: str) -> None:
    there, here = streaming.iterate(kind), local.iterate(kind)
    assert not isinstance(there, Generator)
    assert isinstance(there, Iterator)
    assert list(there) == list(here)
    assert list(there) == []


def test_it_says_what_it_is(streaming: Streaming) -> None:
    shown = repr(streaming.count(3))
    assert "generator object Streaming.count" in shown
    assert shown.endswith("of unix:home/streaming>")


# Context managers


def test_a_block_runs_between_entering_and_leaving(streaming: Streaming, messages: list[Any]) -> None:
    with streaming.armed(value=[1, {"a": 2}]) as got:
        assert got == [1, {"a": 2}]
        assert streaming.inside == 1
        messages.clear()
    assert len(messages) == 1
    assert (streaming.inside, streaming.left_with, streaming.ended) == (0, [], ["finally"])
    with streaming.armed() as nothing:
        assert nothing is None


def test_it_may_yield_the_instrument_or_itself(streaming: Streaming) -> None:
    with streaming.armed("self") as armed:
        assert armed is streaming
    guard = streaming.guard()
    with guard as entered:
        assert entered is guard
        assert streaming.inside == 1
    assert streaming.left_with == [[None, "None"]]


def test_it_claims_the_class_that_it_has_on_the_server(streaming: Streaming) -> None:
    assert isinstance(streaming.guard(), Guard)


def test_what_it_yields_may_be_used(streaming: Streaming) -> None:
    with streaming.guard() as guard:
        assert guard._swallow is False
        guard._swallow = True
        raise ValueError("swallowed by what was set on the server")
    assert streaming.inside == 0


def test_an_error_of_the_block_reaches_it_and_goes_on(streaming: Streaming) -> None:
    error = ValueError("in the block", 3)
    for make in (streaming.armed, streaming.guard):
        with pytest.raises(ValueError) as raised, make():
            raise error
        assert raised.value is error
    assert streaming.left_with == [["ValueError", str(error)], ["ValueError", str(error)]]
    assert streaming.inside == 0


def test_it_may_swallow_an_error(streaming: Streaming) -> None:
    for make in (streaming.armed, streaming.guard):
        with make(swallow=True):
            raise LookupError("swallowed")
    assert [left[0] for left in streaming.left_with] == ["LookupError"] * 2


def test_it_may_raise_another_error(streaming: Streaming, local: Streaming) -> None:
    for each in (streaming, local):
        with pytest.raises(LookupError, match="instead of mine"), each.translated():
            raise ValueError("mine")
        with pytest.raises(RuntimeError, match="does not close"), each.guard(failure="does not close"):
            pass
        with pytest.raises(KeyError, match="theirs"), each.translated():
            raise KeyError("theirs")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_of_the_block_leaves_it_in_order(
    streaming: Streaming, interrupt: type[BaseException]
) -> None:
    raised = interrupt()
    for make in (streaming.armed, streaming.guard):
        with pytest.raises(interrupt) as caught, make():
            raise raised
        assert caught.value is raised
    assert [left[0] for left in streaming.left_with] == [interrupt.__name__] * 2
    assert streaming.inside == 0


def test_an_error_that_the_server_does_not_know_leaves_it_in_order(streaming: Streaming) -> None:
    class Mine(Exception):
        pass

    with pytest.raises(Mine), streaming.armed():
        raise Mine("own")
    assert streaming.inside == 0
    assert "own" in streaming.left_with[0][1]


def test_blocks_inside_one_another(streaming: Streaming) -> None:
    with streaming.armed(1) as one, streaming.guard(), streaming.armed(2) as two:
        assert (one, two, streaming.inside) == (1, 2, 3)
        for value in streaming.count(2):
            with streaming.armed(value) as inner:
                assert (inner, streaming.inside) == (value, 4)
    assert streaming.inside == 0


def test_one_that_may_be_entered_again_may_be_so_here(streaming: Streaming) -> None:
    lock, guard = streaming.lock(), streaming.guard()
    for _ in range(2):
        with lock as held, guard:
            assert (held, streaming.inside) == (True, 1)
    assert streaming.inside == 0


def test_what_is_both_is_entered_and_iterated_over(streaming: Streaming, local: Streaming) -> None:
    for each in (streaming, local):
        with each.both() as both:
            assert list(itertools.islice(both, 2)) == [1, 1]
        assert each.inside == 0


@pytest.mark.parametrize("name", ["armed_with_stranger", "strange_guard"])
def test_what_it_yields_may_be_something_that_cannot_travel(streaming: Streaming, name: str) -> None:
    with getattr(streaming, name)() as stranger:
        assert "object object at" in repr(stranger)
        assert streaming.inside == 1
    assert streaming.inside == 0


def test_items_that_cannot_travel_end_a_generator(streaming: Streaming) -> None:
    strangers = streaming.strangers()
    with pytest.raises(NotPortable, match="cannot travel"):
        next(strangers)
    assert list(strangers) == []
    assert soon(lambda: streaming.ended == ["finally"])


def test_what_is_inside_a_result_is_refused_by_name(streaming: Streaming) -> None:
    with pytest.raises(NotPortable, match=r"Guard.*cannot travel"):
        streaming.guards()


# Ends


@pytest.mark.parametrize("how", ["close", "restart"])
def test_after_the_instrument_was_closed_it_is_not_there(
    streaming: Streaming, home: Server, how: str
) -> None:
    counting, guard = streaming.count(5), streaming.guard()
    next(counting)
    getattr(streaming, how)()
    with pytest.raises(UnknownName, match=r"closed"):
        next(counting)
    with pytest.raises(UnknownName, match=r"closed"):
        guard.__enter__()


def test_after_the_server_has_gone_it_is_told_so(new_name: Callable[[], str]) -> None:
    server = start_server(new_name())
    counting = server.create(Streaming, "short").count(5)
    next(counting)
    server.stop()
    with pytest.raises((ServerLost, ConnectionError), match=server.name):
        next(counting)
    del counting
    gc.collect()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_end_of_a_client_lets_go_of_what_it_held(
    streaming: Streaming, new_name: Callable[[], str], how: str
) -> None:
    away = start_server(new_name())
    onlooker = away.create(Onlooker, "onlooker")
    onlooker.do("counting = streaming.count(5); armed = streaming.armed()", streaming=streaming)
    onlooker.do("next(counting); armed.__enter__()")
    mine = streaming.count(5)
    next(mine)
    assert streaming.inside == 1
    getattr(away, how)()
    assert soon(lambda: streaming.inside == 0 and "GeneratorExit" in streaming.ended)
    assert next(mine) == 1
