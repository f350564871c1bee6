"""Special methods that drivers define work on proxies, of instruments and of modules."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drivers import Closed, Memory, Onlooker, Page, Plain
from qcodes.instrument import Instrument
from qcodes.station import Station

from instrumentserver import Instrument as ServedInstrument
from instrumentserver import RemoteInstrument, Server, connect, find_instrument, list_servers, start_server
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


PARTS: dict[str, Callable[[Any], Any]] = {
    "instrument": lambda memory: memory,
    "module": lambda memory: memory.page,
    "channel": lambda memory: memory.pages[1],
}


@pytest.fixture
def memory(messages: list[Any], home: Server) -> Memory:
    return home.create(Memory, "memory")


@pytest.fixture(params=PARTS)
def both(request: pytest.FixtureRequest, memory: Memory) -> Iterator[list[Any]]:
    """Yield a part of the remote instrument, and the same part of one of this process."""
    local = Memory("here")
    part = PARTS[request.param]
    yield [part(memory), part(local)]
    local.close()


def test_items(both: list[Any]) -> None:
    for thing in both:
        assert (len(thing), thing["a"], "a" in thing, "c" in thing, 1 in thing) == (2, 1, True, False, False)
        thing["c"] = [3]
        assert (len(thing), thing["c"], "c" in thing) == (3, [3], True)
        del thing["a"]
        assert thing.cells == {"b": 2, "c": [3]}
        with pytest.raises(KeyError, match="nothing"):
            _ = thing["nothing"]
        with pytest.raises(KeyError):
            del thing["nothing"]


def test_iteration(both: list[Any]) -> None:
    for thing in both:
        assert list(thing) == ["a", "b"]
        assert list(reversed(thing)) == ["b", "a"]
        assert [*thing, *enumerate(thing)] == ["a", "b", (0, "a"), (1, "b")]
        one, two = iter(thing), iter(thing)
        assert (next(one), next(two), next(one)) == ("a", "a", "b")


def test_calls(both: list[Any]) -> None:
    for thing in both:
        assert callable(thing)
        assert (thing(3), thing(value=3, times=2)) == (5, 10)
        with pytest.raises(TypeError, match="missing 1 required"):
            thing()


def test_with(both: list[Any]) -> None:
    for thing in both:
        with thing as entered:
            assert entered is thing
            assert thing.entered == ["in"]
        assert thing.entered[1:] == [[None, "None"]]
        with thing:
            raise KeyError("swallowed")
        error = ValueError("not swallowed")
        with pytest.raises(ValueError) as raised, thing:
            raise error
        assert raised.value is error
        with pytest.raises(KeyboardInterrupt), thing:
            raise KeyboardInterrupt
        assert [left[0] for left in thing.entered[3::2]] == ["KeyError", "ValueError", "KeyboardInterrupt"]


def test_truth(both: list[Any]) -> None:
    for thing in both:
        assert thing
        thing.cells = {}
        assert not thing
        assert len(thing) == 0


def test_each_is_one_message(memory: Memory, messages: list[Any]) -> None:
    uses: list[Callable[[Memory], Any]] = [
        len,
        bool,
        iter,
        lambda memory: memory["a"],
        lambda memory: memory(1),
    ]
    for use in uses:
        messages.clear()
        use(memory)
        assert len([request for request in messages if request[0] != "release"]) == 1


def test_a_proxy_is_made_of_one_message(messages: list[Any], home: Server) -> None:
    home.create(Memory, "memory")
    home.create(Closed, "closed")
    sent = [request[0] for request in messages if request[0] != "release"]
    assert sent == ["instruments", "create"] * 2


def test_classes_and_parts_are_as_without_them(memory: Memory) -> None:
    assert issubclass(type(memory), RemoteInstrument)
    assert type(memory).__name__ == "RemoteInstrument"
    assert isinstance(memory, Memory)
    assert isinstance(memory.page, Page)
    assert (repr(memory), repr(memory.page)) == ("<Memory: memory>", "<Page: memory_page of Memory: memory>")
    assert memory.page.parent is memory is memory.pages[0].root_instrument
    assert Instrument.find_instrument("memory", Memory) is memory
    assert Memory.instances() == [memory]
    assert memory.snapshot()["__class__"] == "drivers.Memory"
    assert Station(memory, default=False).components["memory"] is memory


def test_an_instrument_without_them_has_none(home: Server) -> None:
    plain = home.create(Plain, "plain")
    assert type(plain) is RemoteInstrument
    assert not callable(plain)
    assert bool(plain)
    for use in (len, lambda thing: thing(1), lambda thing: thing.__enter__()):
        with pytest.raises((TypeError, AttributeError)):
            use(plain)


def test_they_pickle_and_copy_as_themselves(memory: Memory) -> None:
    for thing in (memory, memory.page, memory.pages[1], memory.pages):
        assert pickle.loads(pickle.dumps(thing)) is thing
        assert copy.copy(thing) is copy.deepcopy(thing) is thing
    assert pickle.loads(pickle.dumps({"deep": [memory]}))["deep"][0] is memory


def test_they_travel_and_are_found(memory: Memory, home: Server, new_name: Callable[[], str]) -> None:
    memory.cells = {}
    assert find_instrument("memory") is connect(home.name).instruments["memory"] is memory
    onlooker = start_server(new_name()).create(Onlooker, "onlooker")
    seen = onlooker.see("(len(memory), list(memory), memory(1), 'a' in memory, bool(memory))", memory=memory)
    assert seen == (0, [], 1, False, False)
    assert onlooker.see("memory.page") is memory.page
    assert onlooker.see("{'deep': [memory]}")["deep"][0] is memory
    connect(onlooker._link.session.address).stop()


def test_they_survive_changes_of_the_tree(memory: Memory) -> None:
    page = memory.page
    memory.add_parameter("late", set_cmd=None, initial_value=1)
    memory.restart()
    assert (memory.page is page, len(memory), list(page), page(1)) == (True, 2, ["a", "b"], 3)


def test_one_that_counts_as_false_and_says_how_it_reads(home: Server) -> None:
    closed, local = home.create(Closed, "closed"), Closed("here")
    for each, name in ((closed, "closed"), (local, "here")):
        assert not each
        assert (repr(each), str(each)) == (f"Closed('{name}')", "a closed one")
        assert each is each.IDN.instrument
    assert Instrument.find_instrument("closed") is find_instrument("closed") is closed
    closed.update()
    assert home.instruments["closed"] is closed
    local.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_still_finds_them(memory: Memory, home: Server) -> None:
    plain = home.create(Plain, "plain")
    local = ServedInstrument("local")
    pid = os.fork()
    if pid == 0:
        try:
            names = set(Instrument._all_instruments)
            os._exit(0 if names == {"memory", "plain"} and memory["a"] + plain.x() == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    local.close()
