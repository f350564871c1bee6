"""Any object that a server serves is a Pyro5 object under its name, with everything public that it has."""

from __future__ import annotations

import enum
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from Pyro5.api import BatchProxy, Proxy
from Pyro5.errors import CommunicationError, DaemonError
from received import eventually

from instrumentserver import Server, start_server
from instrumentserver.gateways.pyro import Gateway


class Mode(enum.Enum):
    FAST = "fast"


class Item:
    """Something that a shelf holds."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]


class Shelf:
    """An object without any thought of Pyro."""

    kind = "oak"

    def __init__(self) -> None:
        self.label = "left"
        self.mode = Mode.FAST
        self._items: list[Item] = []
        self._width = 1.5

    @property
    def width(self) -> float:
        """Width in m."""
        return self._width

    @width.setter
    def width(self, metres: float) -> None:
        if metres <= 0:
            raise ValueError(f"a width of {metres} m cannot be")
        self._width = metres

    @property
    def area(self) -> float:
        return self._width * 2

    def put(self, item: Item, *, others: Any = ()) -> int:
        """Put items on the shelf."""
        for each in (item, *others):
            assert isinstance(each, Item), each
            self._items.append(each)
        return len(self._items)

    def make(self, name: str) -> Item:
        return Item(name)

    def make_all(self) -> dict[str, Any]:
        return {"one": Item("one"), "two": [Item("two"), {"three": (Item("three"),)}]}

    def names(self) -> Iterator[str]:
        for item in self._items:
            yield item.name

    def items(self) -> Iterator[Item]:
        return iter(self._items)

    def fail_late(self) -> Iterator[int]:
        yield 1
        raise ArithmeticError("no more")

    def raw(self, data: bytes) -> bytes:
        return data[::-1]

    def bad(self) -> object:
        return type("Nowhere", (Exception,), {})("lost")

    def fail(self) -> None:
        raise self.bad()  # type: ignore[misc]

    async def later(self) -> int:
        return 7

    def secret(self) -> int:
        return 1

    def _hidden(self) -> int:
        return 1

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        return self._items[index]


@pytest.fixture(scope="module")
def shelf_server() -> Server:
    """Return a server that serves a shelf."""
    server = start_server("shelves", linger=5)
    server.serve(Shelf, "shelf", arguments=[])
    return server


@pytest.fixture(scope="module")
def shelves(shelf_server: Server) -> Iterator[Gateway]:
    """Show it."""
    with Gateway("shelves", host="127.0.0.1", port=0) as gateway:
        yield gateway


@pytest.fixture
def shelf(shelves: Gateway) -> Iterator[Any]:
    """Return the shelf as Pyro5's client has it."""
    (uri,) = shelves.uris
    assert uri == f"PYRO:shelf@127.0.0.1:{shelves.port}"
    with Proxy(uri) as shelf:
        yield shelf
    gc.collect()
    eventually(lambda: shelves.objects == 0)


def test_attributes_and_properties_are_read_and_set(shelf: Any) -> None:
    assert (shelf.label, shelf.kind, shelf.mode, shelf.width, shelf.area) == ("left", "oak", "fast", 1.5, 3.0)
    shelf.width = 2.5
    shelf.label = "right"
    assert (shelf.width, shelf.label) == (2.5, "right")
    with pytest.raises(ValueError, match="a width of -1 m cannot be"):
        shelf.width = -1
    with pytest.raises(AttributeError):
        shelf.area = 1
    shelf.width, shelf.label = 1.5, "left"


def test_clients_know_what_there_is(shelf: Any) -> None:
    shelf._pyroBind()
    public = [name for name in dir(shelf) if not name.startswith("_")]
    expected = "area bad fail fail_late items kind label later make make_all mode names put raw secret width"
    assert public == expected.split()
    assert hasattr(shelf, "put")
    assert not hasattr(shelf, "take")
    with pytest.raises(AttributeError, match="private"):
        shelf._pyroInvoke("_hidden", (), {})
    with pytest.raises(AttributeError):
        shelf._pyroInvoke("secret.__globals__", (), {})


def test_objects_are_arguments_and_results_in_any_place(shelf: Any) -> None:
    a = shelf.make("a")
    assert a.name == "a"
    made = shelf.make_all()
    assert made["two"][1]["three"][0].name == "three"
    before = len(shelf)
    assert shelf.put(a, others=[made["one"], made["two"][0]]) == before + 3
    assert shelf[before] == a
    assert [item.name for item in shelf.items()][before:] == ["a", "one", "two"]


def test_generators_are_streams(shelf: Any) -> None:
    shelf.put(shelf.make("streamed"))
    assert list(shelf.names())[-1] == "streamed"
    stream = shelf.fail_late()
    assert next(stream) == 1
    with pytest.raises(ArithmeticError, match="no more"):
        next(stream)


def test_calls_of_other_kinds(shelf: Any) -> None:
    assert shelf.later() == 7
    batch = BatchProxy(shelf)
    batch.make("x")
    batch.later()
    assert [type(each) for each in batch()] == [Proxy, int]


@pytest.mark.parametrize("serializer", ["serpent", "msgpack"])
def test_any_serialiser_of_pyro_will_do(shelf: Any, serializer: str) -> None:
    shelf._pyroSerializer = serializer
    assert shelf.put(shelf.make("b")) > 0
    assert shelf.width == 1.5
    data = shelf.raw(b"ab")
    assert data in (b"ba", {"data": "YmE=", "encoding": "base64"})
    with pytest.raises(ValueError, match="cannot be"):
        shelf.width = -1


def test_errors_of_unknown_classes_are_told_and_cost_nothing(shelf: Any) -> None:
    shelf._pyroBind()
    connection = shelf._pyroConnection
    with pytest.raises(RuntimeError, match=r"Nowhere: lost") as caught:
        shelf.fail()
    assert "in fail" in "".join(caught.value._pyroTraceback)  # type: ignore[attr-defined]
    assert shelf._pyroConnection is connection


def test_what_cannot_go_through_is_an_error_of_one_call(shelf: Any) -> None:
    with pytest.raises(DaemonError, match="unknown object 'nothing'"):
        shelf.put(Proxy(str(shelf._pyroUri).replace("shelf", "nothing")))
    assert shelf.width == 1.5


def test_what_is_served_later_is_there_and_what_is_not_any_more_is_not(
    shelf_server: Server, shelves: Gateway
) -> None:
    uri = f"PYRO:box@127.0.0.1:{shelves.port}"
    with pytest.raises(CommunicationError, match="unknown object 'box'"):
        Proxy(uri)._pyroBind()
    shelf_server.serve(Item("box"), "box")
    with Proxy(uri) as box:
        assert box.name == "box"
        shelf_server.unserve("box")
        with pytest.raises(ValueError, match="box"):
            assert box.name
    with pytest.raises(CommunicationError, match="unknown object 'box'"):
        Proxy(uri)._pyroBind()
    shelf_server.serve(Shelf, "box", arguments=[])
    with Proxy(uri) as box:
        assert box.label == "left"
    shelf_server.unserve("box")


def test_many_connections_work_at_the_same_time(shelf: Any, shelves: Gateway) -> None:
    meeting = threading.Barrier(20)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with Proxy(shelf._pyroUri) as own:
                own._pyroBind()
                meeting.wait(10)
                for index in range(20):
                    assert own.raw(bytes([index])) is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    eventually(lambda: shelves.connections <= 1)
