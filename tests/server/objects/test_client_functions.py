"""The server's end of clients' functions, and clients that say what is not so."""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from instrumentserver.errors import ClientLost, ProtocolError
from instrumentserver.server.objects.client_functions import ClientFunctions
from instrumentserver.wire.codec import Codec
from instrumentserver.wire.failures import dump_failure
from instrumentserver.wire.messages import CALLBACK_CODE


class FakeWay:
    """The event connection of a client that answers when it is told to."""

    def __init__(self, functions: ClientFunctions, session: str) -> None:
        self.who = f"{session} (pid 1)"
        self.told: list[list[Any]] = []
        self.has_called = threading.Event()
        self._functions = functions

    def tell(self, entry: list[Any]) -> None:
        """Note an entry."""
        self.told.append(entry)

    def tell_at_once(self, entry: list[Any]) -> None:
        """Note a call."""
        self.told.append(entry)
        self.has_called.set()

    def encode(self, value: Any, family: Any) -> tuple[bytes, Sequence[memoryview]]:
        """Return the bytes of a value."""
        return Codec().encode(value)

    def decode(self, message: bytes, buffers: Sequence[memoryview]) -> Any:
        """Return the value of bytes."""
        return Codec().decode(message, buffers)

    def answer(self, outcome: list[Any], call: int | None = None) -> None:
        """Answer the latest call."""
        assert self.has_called.wait(5)
        self.has_called.clear()
        number = self.told[-1][1] if call is None else call
        self._functions.answered(self, number, Codec().encode(outcome)[0], [])


@pytest.fixture
def functions() -> ClientFunctions:
    """Return the functions of no client yet."""
    return ClientFunctions()


@pytest.fixture
def way(functions: ClientFunctions) -> FakeWay:
    """Return the way to a client."""
    way = FakeWay(functions, "mine")
    functions.open("mine", way)
    return way


def test_a_call_waits_for_the_answer(functions: ClientFunctions, way: FakeWay) -> None:
    function = functions.load("mine", [4, "f"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(function, 1, a=2)
        way.answer(["returned", 7])
        assert waiting.result(5) == 7
    kind, _, number, chain, message, _ = way.told[0]
    assert (kind, number, Codec().decode(message)) == ("call", 4, [[1], {"a": 2}])
    assert chain[-1][1] == "f of mine (pid 1)"


def test_an_error_of_the_function_is_raised(functions: ClientFunctions, way: FakeWay) -> None:
    function = functions.load("mine", [4, "f"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(function)
        way.answer(["raised", dump_failure(LookupError("no"), "the client")])
        with pytest.raises(LookupError, match="no"):
            waiting.result(5)


def test_answers_of_others_and_to_no_call_are_passed_over(functions: ClientFunctions, way: FakeWay) -> None:
    other = FakeWay(functions, "theirs")
    functions.open("theirs", other)
    function = functions.load("mine", [4, "f"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(function)
        assert way.has_called.wait(5)
        call = way.told[-1][1]
        functions.answered(other, call, Codec().encode(["returned", "forged"])[0], [])
        functions.answered(way, call + 1000, b"", [])
        assert not waiting.done()
        way.answer(["returned", "true"])
        assert waiting.result(5) == "true"


@pytest.mark.parametrize(
    "outcome",
    [None, 3, [], ["returned"], ["returned", 1, 2], ["raised", None], ["raised", {}], ["raised", 5], "xy"],
)
def test_an_answer_that_no_client_of_ours_gives_is_an_error_of_the_call(
    functions: ClientFunctions, way: FakeWay, outcome: Any
) -> None:
    function = functions.load("mine", [4, "f"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(function)
        way.answer(outcome)
        with pytest.raises(ProtocolError, match=r"f of mine \(pid 1\)"):
            waiting.result(5)


def test_a_client_that_goes_ends_its_calls_and_no_others(functions: ClientFunctions, way: FakeWay) -> None:
    other = FakeWay(functions, "theirs")
    functions.open("theirs", other)
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(functions.load("mine", [1, "f"]))
        theirs = pool.submit(functions.load("theirs", [1, "f"]))
        assert way.has_called.wait(5)
        functions.close("mine", way)
        with pytest.raises(ClientLost, match=r"mine \(pid 1\) has gone before it answered"):
            mine.result(5)
        other.answer(["returned", 1])
        assert theirs.result(5) == 1


def test_a_client_that_has_gone_is_named(functions: ClientFunctions, way: FakeWay) -> None:
    function = functions.load("mine", [1, "f"])
    functions.close("mine", way)
    with pytest.raises(ClientLost, match=r"mine \(pid 1\) has gone, and its function f"):
        function()


def test_a_client_that_comes_again_is_called_over_its_new_connection(
    functions: ClientFunctions, way: FakeWay
) -> None:
    function = functions.load("mine", [1, "f"])
    again = FakeWay(functions, "mine")
    functions.open("mine", again)
    functions.close("mine", way)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(function)
        again.answer(["returned", 2])
        assert waiting.result(5) == 2


def test_the_client_is_told_how_often_it_sent_what_nobody_has_any_more(
    functions: ClientFunctions, way: FakeWay
) -> None:
    function = functions.load("mine", [4, "f"])
    assert functions.load("mine", [4, "f"]) is function
    assert functions.load("theirs", [4, "f"]) is not function
    del function
    gc.collect()
    assert way.told == [["forget", 4, 2, 0]]
    functions.load("mine", [4, "f"])
    gc.collect()
    assert way.told[1:] == [["forget", 4, 1, 0]]


def test_the_client_is_told_how_often_it_was_sent_a_function_back(
    functions: ClientFunctions, way: FakeWay
) -> None:
    function = functions.load("mine", [4, "f"])
    assert functions.dump("mine", function) == (CALLBACK_CODE, [4, "f"])
    assert functions.dump("theirs", function) is None
    del function
    gc.collect()
    assert way.told == [["forget", 4, 1, 1]]


def test_what_is_forgotten_while_the_client_is_away_is_told_when_it_comes(
    functions: ClientFunctions, way: FakeWay
) -> None:
    function = functions.load("mine", [4, "f"])
    functions.close("mine", way)
    del function
    gc.collect()
    again = FakeWay(functions, "mine")
    functions.open("mine", again)
    assert again.told == [["forget", 4, 1, 0]]


@pytest.mark.parametrize(
    "plain", [None, 3, [], [1], ["1", "f"], [1, 2], [1, "f", 2], [True, "f"], [1.5, "f"]]
)
def test_what_is_no_function_is_refused(functions: ClientFunctions, plain: Any) -> None:
    with pytest.raises((ProtocolError, TypeError, ValueError)):
        functions.load("mine", plain)


def test_a_function_shows_nothing_of_the_server_to_clients(functions: ClientFunctions, way: FakeWay) -> None:
    function = functions.load("mine", [1, "f"])
    assert [name for name in dir(function) if not name.startswith("_")] == []


@pytest.mark.parametrize(
    ("message", "buffers"), [(5, []), (None, []), ("text", []), (b"", [b"x"]), (b"", None), (b"", [None])]
)
def test_what_is_no_answer_costs_its_sender_the_connection(
    functions: ClientFunctions, way: FakeWay, message: Any, buffers: Any
) -> None:
    # The connection takes a TypeError for what no client of ours says.
    with pytest.raises(TypeError):
        functions.answered(way, 1, message, buffers)
