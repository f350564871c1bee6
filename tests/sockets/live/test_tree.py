"""What is shown may be looked through while it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sockets.live.hosts import received

from instrumentserver.sockets import LiveServer
from instrumentserver.sockets.live.tree import GrowingDict

LOOKS: list[Callable[[dict[str, Any]], Iterable[Any]]] = [
    iter,
    lambda found: found.keys(),
    lambda found: found.values(),
    lambda found: found.items(),
]


@pytest.mark.parametrize("look", LOOKS, ids=["iter", "keys", "values", "items"])
def test_who_looks_through_it_sees_it_as_it_was(look: Callable[[dict[str, Any]], Iterable[Any]]) -> None:
    growing = GrowingDict({"a": 1, "b": 2})
    before = list(look({"a": 1, "b": 2}))
    looking = iter(look(growing))
    seen = [next(looking)]
    growing["c"] = 3
    del growing["a"]
    assert [*seen, *looking] == before
    assert list(look(growing)) == list(look({"b": 2, "c": 3}))


def test_copies_have_all_of_it() -> None:
    growing = GrowingDict({"a": 1, "b": 2})
    assert dict(growing) == {**growing} == growing == {"a": 1, "b": 2}
    assert list(growing) == sorted(growing) == ["a", "b"]
    assert len(growing) == 2
    assert "a" in growing


def test_growth_in_another_thread_disturbs_nobody() -> None:
    growing: GrowingDict[int] = GrowingDict()
    is_over = threading.Event()

    def grow() -> None:
        for number in range(20_000):
            growing[str(number)] = number
        is_over.set()

    thread = threading.Thread(target=grow)
    thread.start()
    while not is_over.is_set():
        found = list(growing.values())
        assert found == list(range(len(found)))
    thread.join()


@pytest.mark.parametrize("what", ["submodules", "instrument_modules", "parameters"])
def test_live_server_may_be_looked_through_while_hosts_and_streams_come(
    what: str, live: LiveServer, new_host: Callable[..., Any]
) -> None:
    new_host("pc", live.port).send(a=[1, 1], b=[1, 1])
    new_host("second", live.port).send(a=[1, 1])
    received(live, 2)
    looking = iter(getattr(live.pc if what == "parameters" else live, what).items())
    next(looking)
    new_host("pc", live.port).send(c=[1, 1])
    new_host("third", live.port).send(a=[1, 1])
    received(live, 4)
    assert len(list(looking)) == 1
