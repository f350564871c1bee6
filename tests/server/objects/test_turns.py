"""Which calls on served objects wait for one another, and what never waits for ever."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from drivers import Plain
from holding import Scripts, until

from instrumentserver import CallCycle, CallTimeout, Server, list_servers, start_server, time_limit


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("turns")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """End what a test served; the server of the module goes on."""
    yield
    if "gate" in home.objects:
        home.objects["gate"].open_gate()
    for server in list_servers():
        if server != home:
            server.stop()
    for name in home.objects:
        home.unserve(name)
    for instrument in home.instruments.values():
        instrument.close()


@pytest.fixture
def gate(home: Server) -> Any:
    """Return what opens the gate; nothing waits for it."""
    served = home.serve("turns_sdk", "gate", lock="none")
    served.begin()
    return served


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Yield threads."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


def two_calls(pool: ThreadPoolExecutor, one: Any, other: Any) -> list[Future[int]]:
    """Begin two calls that last."""
    return [pool.submit(one.work), pool.submit(other.work)]


@pytest.mark.parametrize(("lock", "of_one", "of_two"), [("one", 1, 1), ("each", 1, 2), ("none", 2, 2)])
def test_calls_wait_as_the_lock_says(
    home: Server, gate: Any, pool: ThreadPoolExecutor, lock: str, of_one: int, of_two: int
) -> None:
    slow = home.serve("turns_sdk:Slow", "slow", arguments=[], lock=lock)
    part = slow.part()
    for other, most in ((slow, of_one), (part, of_two)):
        gate.begin()
        calls = two_calls(pool, slow, other)
        until(lambda: len([call for call in home.status()["calls"] if call["path"].endswith("work")]) == 2)
        assert gate.under_way(most) == most
        states = sorted(call["state"] for call in home.status()["calls"] if call["path"].endswith("work"))
        assert states == ["running"] * most + ["waiting"] * (2 - most)
        gate.open_gate()
        assert max(call.result(10) for call in calls) == most


def test_a_call_that_lasts_is_seen(home: Server, gate: Any, pool: ThreadPoolExecutor) -> None:
    slow = home.serve("turns_sdk:Slow", "slow", arguments=[])
    part = slow.part()
    call = pool.submit(part.work)
    gate.under_way(1)

    seen = [call for call in home.status()["calls"] if call["operation"] == "object_call"]

    assert [(call["path"], call["state"]) for call in seen] == [
        (f"{part.uri.partition('/')[2]}.work", "running")
    ]
    assert "pytest" in seen[0]["client"] or "pid" in seen[0]["client"]
    gate.open_gate()
    assert call.result(10) == 1


def test_tab_completion_and_status_do_not_wait(home: Server, gate: Any, pool: ThreadPoolExecutor) -> None:
    slow = home.serve("turns_sdk:Slow", "slow", arguments=[])
    call = pool.submit(slow.work)
    gate.under_way(1)

    with time_limit(5):
        assert {"label", "work"} <= set(dir(slow))
        assert home.objects["slow"] is slow
        assert len(home.proxies()) == 2
    gate.open_gate()
    assert call.result(10) == 1


def test_an_object_waits_for_the_instrument_that_it_was_given(
    home: Server, gate: Any, pool: ThreadPoolExecutor
) -> None:
    slow = home.serve("turns_sdk:Slow", "slow", arguments=[])
    meter = home.create(Plain, "meter")

    assert "meter" in str(slow.use(meter, "get_idn")) or slow.use(meter, "get_idn") is not None
    call = pool.submit(slow.work)
    gate.under_way(1)
    with pytest.raises(CallTimeout), time_limit(0.1):
        meter.get_idn()
    gate.open_gate()
    assert call.result(10) == 1


def test_two_objects_of_one_server_that_use_each_other_wait_for_one_another(
    home: Server, gate: Any, pool: ThreadPoolExecutor
) -> None:
    one = home.serve("turns_sdk:Slow", "one", arguments=[])
    other = home.serve("turns_sdk:Slow", "other", arguments=[])

    assert one.use(other, "name") == "slow"

    calls = two_calls(pool, one, other)
    assert gate.under_way(1) == 1
    gate.open_gate()
    assert max(call.result(10) for call in calls) == 1


@pytest.mark.slow
def test_a_call_that_comes_back_over_another_server_is_refused(home: Server) -> None:
    second = start_server("elsewhere", linger=5)
    here = home.serve("turns_sdk:Slow", "here", arguments=[])
    free = home.serve("turns_sdk:Slow", "free", arguments=[], lock="none")
    back = second.serve("turns_sdk:Back", "back", arguments=[here])
    back_to_free = second.serve("turns_sdk:Back", "back_to_free", arguments=[free])

    with pytest.raises(
        CallCycle,
        match=r"unix:turns/here.use -> unix:elsewhere/back.name -> unix:turns/here.name: this call came back",
    ):
        here.use(back, "name")
    assert free.use(back_to_free, "name") == "slow"
    assert here.use(back_to_free, "name") == "slow"
    assert here.name() == "slow"


def test_a_callback_that_comes_back_is_refused(home: Server) -> None:
    slow = home.serve("turns_sdk:Slow", "slow", arguments=[])
    free = home.serve("turns_sdk:Slow", "free", arguments=[], lock="none")

    with pytest.raises(CallCycle, match="this call came back"):
        slow.call(lambda: slow.name())
    assert free.call(lambda: free.name()) == "slow"
    assert slow.call(lambda: free.name()) == "slow"
    assert slow.name() == "slow"


@pytest.mark.slow
def test_what_each_client_has_of_his_own_waits_for_nobody_else(
    home: Server, gate: Any, pool: ThreadPoolExecutor
) -> None:
    mine = home.serve("turns_sdk:Slow", "own", arguments=[], access="client")
    with Scripts() as scripts:
        other = scripts.run(
            "own = Proxy(sys.argv[1]); print('there', flush=True); print(own.work())", mine.uri
        )
        assert scripts.ask(other) == "there"
        call = pool.submit(mine.part().work)
        assert gate.under_way(2) == 2
        gate.open_gate()
        assert call.result(10) == 2
        scripts.end(other)
