from __future__ import annotations

from typing import Any

from instrumentserver.server.greeting import Greeting


def worker(name: str) -> Any:
    return name


def test_so_many_are_greeted_at_the_same_time() -> None:
    greeting = Greeting()
    assert not greeting
    assert [greeting.enter(worker(f"a{number}"), "1.1.1.1") for number in range(64)] == [None] * 64
    assert greeting

    assert greeting.enter(worker("late"), "1.1.1.1") == "a0"
    assert greeting.enter(worker("later"), "1.1.1.1") == "a1"


def test_the_host_that_has_the_most_makes_room() -> None:
    greeting = Greeting()
    greeting.enter(worker("honest"), "2.2.2.2")
    for number in range(63):
        greeting.enter(worker(f"a{number}"), "1.1.1.1")

    out = [greeting.enter(worker(f"b{number}"), "1.1.1.1") for number in range(200)]

    assert "honest" not in out
    assert out[0] == "a0"


def test_strangers_on_networks_do_not_compete_with_local_clients() -> None:
    greeting = Greeting()
    greeting.enter(worker("local"), "")

    assert "local" not in [greeting.enter(worker(f"a{number}"), "1.1.1.1") for number in range(200)]


def test_who_is_known_makes_room_by_himself() -> None:
    greeting = Greeting()
    for number in range(64):
        greeting.enter(worker(f"a{number}"), "")
    greeting.leave(worker("a5"))
    greeting.leave(worker("a5"))

    assert greeting.enter(worker("late"), "") is None
