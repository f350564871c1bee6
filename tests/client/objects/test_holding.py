"""Who has which object, counted on the server, whatever becomes of the clients."""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy, deepcopy
from typing import Any

import pytest
from holding import Scripts, held, until

from instrumentserver import (
    CallTimeout,
    ConnectFailed,
    Proxy,
    Server,
    UnknownName,
    list_servers,
    start_server,
    time_limit,
)
from instrumentserver.client.session import Session


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("objects")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left(home: Server) -> Iterator[None]:
    """End what a test served; the server of the module goes on."""
    yield
    for server in list_servers():
        if server != home:
            server.stop()
    for name in home.objects:
        home.unserve(name)


@pytest.fixture
def sdk(home: Server) -> Any:
    """Return the proxy of the sample SDK."""
    served = home.serve("holding_sdk", "sdk", lock="none")
    served.begin()
    return served


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    """Yield what runs other processes."""
    with Scripts() as running:
        yield running


def test_an_object_lives_as_long_as_somebody_has_a_proxy(home: Server, sdk: Any) -> None:
    thing = sdk.Thing("a")
    assert list(held(home).values()) == [1]

    del thing

    until(lambda: not held(home))
    assert sdk.ended() == ["a"]


@pytest.mark.slow
def test_five_thousand_proxies_live_and_go(home: Server, sdk: Any) -> None:
    things = [sdk.Thing(str(number)) for number in range(1000)]
    things += sdk.things(4000)

    assert len(held(home)) == 5000
    assert set(held(home).values()) == {1}
    assert len({thing.uri for thing in things}) == 5000
    assert things[-1].name() == "3999"

    del things[1000:]
    until(lambda: len(held(home)) == 1000)
    things.clear()
    until(lambda: not held(home))
    assert len(sdk.ended()) == 5000


def test_one_proxy_of_each_object_in_a_process(home: Server, sdk: Any) -> None:
    thing = sdk.Thing("a")

    assert thing.itself() is thing
    assert [part["it"] for part in thing.nested()[0]] == [thing, thing]
    assert Proxy(thing.uri) is thing
    assert pickle.loads(pickle.dumps(thing)) is thing
    assert copy(thing) is thing and deepcopy([thing])[0] is thing
    assert {thing: 1}[Proxy(str(thing.uri))] == 1
    assert thing != sdk.Thing("a")
    assert next(iter(held(home).values())) == 1


def test_handles_anywhere_arrive_as_the_objects(sdk: Any) -> None:
    one, other = sdk.Thing("a"), sdk.Thing("b")

    found = sdk.names([one, {"x": (other, [one])}], first=other, rest={"y": [one]})

    assert found == [["a", {"x": ["b", ["a"]]}], {"first": "b", "rest": {"y": ["a"]}}]
    assert sdk.is_same(one, Proxy(one.uri))


@pytest.mark.slow
def test_a_second_process_shares_the_object_until_both_have_let_go(
    home: Server, sdk: Any, scripts: Scripts
) -> None:
    thing = sdk.Thing("a")
    other = scripts.run("thing = Proxy(sys.argv[1]); print(thing.name(), flush=True); input()", thing.uri)

    assert scripts.ask(other) == "a"
    assert list(held(home).values()) == [2]
    uri = thing.uri
    del thing
    until(lambda: list(held(home).values()) == [1])
    assert Proxy(uri).name() == "a"
    until(lambda: list(held(home).values()) == [1])
    scripts.end(other)
    until(lambda: not held(home))
    with pytest.raises(UnknownName, match=r"was dropped when the last client that had it let it go, at "):
        Proxy(uri)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_twenty_processes_use_one_object_and_what_they_make_is_theirs(
    home: Server, sdk: Any, scripts: Scripts
) -> None:
    thing = sdk.Thing("shared")
    script = """
    import os
    for _ in range(20):
        if not os.fork():
            thing = Proxy(sys.argv[1])
            sdk = Proxy(sys.argv[2])
            mine = [sdk.Part(thing) for _ in range(5)]
            for part in mine:
                part.add(1)
            os.write(1, f"{os.getpid()}\\n".encode())
            os.read(0, 1)
            os._exit(0)
    os.read(0, 1)
    """
    parent = scripts.run(script, thing.uri, sdk.uri)
    others = [int(scripts.ask(parent)) for _ in range(20)]

    counts = held(home)
    assert counts.pop(thing.uri.partition("/")[2]) == 21
    assert list(counts.values()) == [1] * 100
    assert thing.total() == 100

    for pid in others[:10]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(held(home)) == 51)
    for pid in others[10:]:
        os.kill(pid, signal.SIGTERM)
    until(lambda: held(home) == {thing.uri.partition("/")[2]: 1})


@pytest.mark.slow
def test_a_creator_that_is_killed_takes_nothing_from_the_others(
    home: Server, sdk: Any, scripts: Scripts
) -> None:
    creator = scripts.run(
        "sdk = Proxy(sys.argv[1]); thing = sdk.Thing('kept'); lost = sdk.Thing('lost')\n"
        "print(thing.uri, flush=True); input()",
        sdk.uri,
    )
    thing = Proxy(scripts.ask(creator))
    assert sorted(held(home).values()) == [1, 2]

    scripts.kill(creator)

    until(lambda: list(held(home).values()) == [1])
    assert thing.name() == "kept"
    assert sdk.ended() == ["lost"]


@pytest.mark.slow
def test_a_client_that_leaks_keeps_its_objects_until_it_ends(
    home: Server, sdk: Any, scripts: Scripts
) -> None:
    leaking = scripts.run(
        "sdk = Proxy(sys.argv[1]); kept = [sdk.Thing(str(n)) for n in range(300)]\n"
        "kept.append(kept); print('made', flush=True); input()\nimport os; os._exit(1)",
        sdk.uri,
    )
    assert scripts.ask(leaking) == "made"
    assert len(held(home)) == 300

    scripts.end(leaking)

    until(lambda: not held(home))


def test_what_a_call_returns_that_nobody_waits_for_any_more_is_dropped(home: Server, sdk: Any) -> None:
    first = sdk.Thing("first")
    sdk.close_gate()
    with pytest.raises(CallTimeout), time_limit(0.05):
        sdk.behind_gate(first)
    assert list(held(home).values()) == [1]

    sdk.open_gate()

    until(lambda: sdk.ended() == ["late", "late"])
    assert list(held(home).values()) == [1]
    assert first.name() == "first"
    until(lambda: list(held(home).values()) == [1])
    del first
    until(lambda: not held(home))


def test_an_answer_whose_giving_up_could_not_be_told_is_told_with_the_next_call(
    home: Server, sdk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = home._session
    session.greet()
    session.greet()

    def be_interrupted(*_: object) -> None:
        until(lambda: held(home))
        raise KeyboardInterrupt

    def be_refused(*_: object, **__: object) -> None:
        raise ConnectFailed("the server is busy")

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patched:
        patched.setattr(session._idle[-1], "receive", be_interrupted)
        patched.setattr(Session, "_connect", be_refused)
        sdk.things(1)

    sdk.names([])
    until(lambda: not held(home))


def test_ctrl_c_in_the_middle_of_a_call_that_returns_objects(home: Server, sdk: Any) -> None:
    first = sdk.Thing("first")
    sdk.close_gate()

    def interrupt() -> None:
        until(lambda: any("behind_gate" in call["path"] for call in home.status()["calls"]))
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        sdk.behind_gate(first)
    interrupting.join()
    sdk.open_gate()

    until(lambda: sdk.ended() == ["late", "late"])
    until(lambda: list(held(home).values()) == [1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_holds_what_it_uses(home: Server, sdk: Any) -> None:
    thing = sdk.Thing("a")
    path = thing.uri.partition("/")[2]
    told, answer = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            os.write(answer, thing.name().encode())
            os.read(wait, 1)
            os.write(answer, thing.name().encode())
            os.read(wait, 1)
        os._exit(0)
    try:
        assert os.read(told, 10) == b"a"
        assert held(home) == {path: 2}
        del thing
        gc.collect()
        until(lambda: held(home) == {path: 1})
        os.write(go, b"1")
        assert os.read(told, 10) == b"a"
    finally:
        os.write(go, b"12")
        os.waitpid(pid, 0)
        for end in (told, answer, wait, go):
            os.close(end)
    until(lambda: not held(home))


@pytest.mark.slow
def test_a_session_whose_connections_were_cut_holds_again_what_is_left(
    home: Server, sdk: Any, scripts: Scripts
) -> None:
    shared, alone = sdk.Thing("shared"), sdk.Thing("alone")
    script = """
    from instrumentserver.objects import holders
    thing = Proxy(sys.argv[1])
    while input():
        print(len(holders(thing)), flush=True)
    """
    other = scripts.run(script, shared.uri)
    assert scripts.ask(other, "how many?") == "2"
    home._session.abandon()
    until(lambda: scripts.ask(other, "how many?") == "1")

    assert shared.name() == "shared"

    assert list(held(home).values()) == [2]
    with pytest.raises(UnknownName, match="was dropped when the last client that had it let it go"):
        alone.name()
    scripts.end(other)
    until(lambda: list(held(home).values()) == [1])
    assert shared.name() == "shared"


def test_threads_share_proxies(home: Server, sdk: Any) -> None:
    thing = sdk.Thing("a")

    def work(number: int) -> int:
        for _ in range(50):
            part = sdk.Part(thing)
            assert part.thing() is thing
            part.add(1)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))

    assert thing.total() == 400
    until(lambda: len(held(home)) == 1)


def test_proxies_of_threads_that_drop_while_others_get(home: Server, sdk: Any) -> None:
    shared = sdk.Thing("kept on the server")
    sdk.keep(shared)
    path = shared.uri.partition("/")[2]
    del shared

    def work(number: int) -> None:
        for _ in range(200):
            assert sdk.kept().name() == "kept on the server"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    until(lambda: not held(home))
    assert path


def test_an_object_that_comes_again_and_again_has_few_handles(home: Server, sdk: Any) -> None:
    thing = sdk.Thing("a")
    for _ in range(500):
        assert thing.itself() is thing

    path = thing.uri.partition("/")[2]
    until(lambda: next(each for each in home.proxies() if each["path"] == path)["holders"][0]["count"] < 100)
    del thing
    until(lambda: not held(home))


def use_at_random(sdk: Any, chance: random.Random, seconds: float) -> None:
    """Get, hand over, keep and drop objects, and give up some of the calls in the middle."""
    mine: list[Any] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with (
            suppress(CallTimeout, KeyboardInterrupt, IndexError),
            time_limit(chance.choice([None, None, 0.0003])),
        ):
            what = chance.random()
            if what < 0.4:
                mine.extend(sdk.things(chance.randrange(5)))
            elif what < 0.5 and mine:
                sdk.keep(chance.choice(mine))
            elif what < 0.65:
                mine.append(sdk.kept())
            elif what < 0.85 and mine:
                mine.append(chance.choice(mine).itself())
            elif mine:
                del mine[chance.randrange(len(mine)) :]


@pytest.mark.slow
def test_what_many_threads_give_up_in_the_middle_is_counted_exactly(home: Server, sdk: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(use_at_random, sdk, random.Random(seed), 0.6) for seed in range(4)]:
            done.result()

    sdk.keep(None)
    until(lambda: not held(home))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such timers")
def test_what_ctrl_c_gives_up_in_the_middle_is_counted_exactly(
    home: Server, sdk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An interrupt also reaches callbacks of the garbage collector, and files that are open while their block has not
    # begun. Python ignores both; to keep what it says of them would keep the frames, and the objects, to be counted.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    chance = random.Random(1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    end = time.monotonic() + 0.6
    try:
        while time.monotonic() < end:
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.003))
                try:
                    use_at_random(sdk, chance, 0.01)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)

    sdk.keep(None)
    until(lambda: not held(home))


@pytest.mark.slow
def test_uris_of_an_earlier_start_say_so() -> None:
    server = start_server("again")
    sdk = server.serve("holding_sdk", "sdk")
    uri = sdk.Thing("a").uri
    thing = sdk.Thing("b")
    server.stop()
    server = start_server("again")

    with pytest.raises(UnknownName, match="is of an earlier start of server 'again'"):
        Proxy(uri)
    with pytest.raises(UnknownName, match="is of an earlier start of server 'again'"):
        thing.name()
    with pytest.raises(UnknownName, match="has neither an instrument nor an object 'sdk'; it has nothing"):
        sdk.names([])
    again = server.serve("holding_sdk", "sdk")
    assert again.Thing("c").name() == "c"
    assert sdk.Thing("d").name() == "d"
    server.stop()


@pytest.mark.slow
def test_two_servers_hand_an_object_of_one_to_the_other(home: Server, sdk: Any) -> None:
    second = start_server("second", linger=5)
    other = second.serve("holding_sdk", "other", lock="none")
    thing = sdk.Thing("a")
    path = thing.uri.partition("/")[2]

    other.keep(thing)
    assert held(home) == {path: 2}
    assert held(second) == {}
    assert other.kept() is thing
    uri = thing.uri
    del thing
    gc.collect()
    until(lambda: held(home) == {path: 1})
    assert other.names([Proxy(uri)]) == [["a"], {}]
    part = other.Part(Proxy(uri))
    assert part.add(2) == 2
    assert part.thing().uri == uri
    other.keep(None)
    del part
    until(lambda: not held(home))


def test_names_that_are_gone_say_what_became_of_them(home: Server, sdk: Any) -> None:
    with pytest.raises(UnknownName, match="has neither an instrument nor an object 'nobody'; it has sdk"):
        Proxy(f"{home.address}/nobody")
    thing = sdk.Thing("a")

    home.unserve("sdk")

    with pytest.raises(UnknownName, match=r"@Thing-\w+-\d+ of server 'objects' was unserved by .* at "):
        thing.name()
    with pytest.raises(UnknownName, match=r"sdk of server 'objects' was unserved by "):
        sdk.names([])
    with pytest.raises(UnknownName, match="sdk"):
        home.unserve("sdk")
