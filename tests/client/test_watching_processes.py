"""Processes that watch: stopped, killed, forked, ending; they hurt neither the server nor one another."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from received import Received, eventually
from watched import Source

from instrumentserver import Server, start_server
from instrumentserver.transport.exits import wait_for_exit

PRELUDE = """
    import os, signal, sys, threading, time
    from instrumentserver import connect
    source = connect(sys.argv[1]).instruments['source']

    def say(*words):
        print(*words, flush=True)
"""
_SECONDS = 40.0


class Watcher:
    """A process that watches, and that tells line by line.

    Args:
        server: The name of the server.
        text: What it does; ``source`` is the instrument, ``say`` prints a line.
    """

    def __init__(self, server: str, text: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(text), server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def hear(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return line.rstrip("\n") if line else f"ended: {self.end()}"

    def end(self) -> tuple[int, str, str]:
        """Wait for its end, and return its exit code, what it still said and what it complained of."""
        said, complained = self._process.communicate(timeout=_SECONDS)
        return self._process.returncode, said, complained

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


COUNTING = """
    events, dropped, done = 0, 0, threading.Event()

    def count(update):
        global events, dropped
        events, dropped = events + 1 + update.dropped, dropped + update.dropped
        if events == 1:
            say('watching')
        if update.value == -1:
            done.set()

    subscription = source.count.subscribe({options})
    subscription.add_callback(count)
    done.wait()
    say(events, dropped == subscription.dropped, dropped > 0)
"""


@pytest.fixture
def source(server: Server) -> Source:
    return server.create(Source, "source")


@pytest.fixture
def watch(server: Server) -> Iterator[Callable[[str], Watcher]]:
    """Return what starts a process that watches."""
    watchers: list[Watcher] = []

    def start(text: str) -> Watcher:
        watchers.append(Watcher(server.name, text))
        return watchers[-1]

    yield start
    for each in watchers:
        each.close()


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("options", ["", "lossless=True, queue=10", "lossless=True, queue=100_000"])
def test_a_stopped_client_costs_nobody_anything_and_counts_right_afterwards(
    source: Source, watch: Callable[[str], Watcher], options: str
) -> None:
    watcher = watch(COUNTING.format(options=options))
    assert watcher.hear() == "watching"
    os.kill(watcher.pid, signal.SIGSTOP)
    received = Received()
    source.count.subscribe().add_callback(received.take)
    begun = time.monotonic()
    for value in range(1, 3_001):
        source.count(value)
    assert time.monotonic() - begun < 20
    source.raise_count(27_000, first=3_001)
    received.wait_for_value(30_000)
    os.kill(watcher.pid, signal.SIGCONT)
    source.count(-1)
    dropped = "False" if "100_000" in options else "True"
    assert watcher.hear() == f"30002 True {dropped}"
    assert watcher.end() == (0, "", "")


def test_a_client_that_sleeps_for_ever_leaves_memory_bounded(
    server: Server, source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        threads = []

        def sleep(update):
            if not threads:
                say('watching')
            threads.append(1)
            threading.Event().wait()

        for options in ({}, {'lossless': True}, {'interval': 3600.0}):
            source.wave.subscribe(**options, queue=5).add_callback(sleep)
            source.count.subscribe(**options).add_callback(sleep)
        say('subscribed')
        threading.Event().wait()
    """)
    assert {watcher.hear(), watcher.hear()} == {"watching", "subscribed"}
    here, there = psutil.Process(server.pid), psutil.Process(watcher.pid)
    source.record(20, 100_000)
    source.raise_count(5_000)
    before = here.memory_info().rss, there.memory_info().rss
    for _ in range(4):
        source.record(250, 100_000)
        source.raise_count(50_000)
    grown = here.memory_info().rss - before[0], there.memory_info().rss - before[1]
    # 1,000 arrays are 800 MB; 200,000 numbers with their times are some 30 MB.
    assert grown[0] < 40e6
    assert grown[1] < 40e6


def test_a_stopped_client_leaves_the_memory_of_the_server_bounded(
    server: Server, source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        def take(update):
            pass

        for options in ({}, {'lossless': True, 'queue': 5}):
            source.wave.subscribe(**options).add_callback(take)
        say('subscribed')
        threading.Event().wait()
    """)
    assert watcher.hear() == "subscribed"
    os.kill(watcher.pid, signal.SIGSTOP)
    here = psutil.Process(server.pid)
    source.record(20, 100_000)
    before = here.memory_info().rss
    source.record(500, 100_000)
    assert here.memory_info().rss - before < 40e6
    # The tree changes, too, which a stopped client is to be told of.
    for _ in range(300):
        source.grow("late")
        source.shrink("late")
    begun = time.monotonic()
    source.x(1.0)
    assert time.monotonic() - begun < 1
    os.kill(watcher.pid, signal.SIGCONT)


def test_a_killed_client_is_forgotten(
    server: Server, source: Source, watch: Callable[[str], Watcher]
) -> None:
    looks = source.looks("count")
    watchers = [watch(COUNTING.format(options="lossless=True")) for _ in range(3)]
    for each in watchers:
        assert each.hear() == "watching"
    assert source.looks("count") != looks
    source.raise_in_threads(200_000)
    for each in watchers:
        os.kill(each.pid, signal.SIGKILL)
    eventually(lambda: len(server.status()["clients"]) == 1)
    eventually(lambda: source.looks("count") == looks)
    received = Received()
    source.other.subscribe().add_callback(received.take)
    source.other(5)
    received.wait_for_value(5)
    assert "Traceback" not in server.log()


def test_a_client_stopped_for_ever_keeps_no_server_from_ending(
    server: Server, source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch(COUNTING.format(options="lossless=True"))
    assert watcher.hear() == "watching"
    os.kill(watcher.pid, signal.SIGSTOP)
    source.raise_count(100_000)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5


def test_many_processes_hear_the_same(source: Source, watch: Callable[[str], Watcher]) -> None:
    watchers = [watch(COUNTING.format(options="lossless=True, queue=100_000")) for _ in range(4)]
    for each in watchers:
        assert each.hear() == "watching"
    source.raise_count(5_000)
    source.count(-1)
    for each in watchers:
        assert each.hear() == "5002 True False"


@pytest.mark.parametrize(
    ("last_words", "code"),
    [("", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15)],
    ids=["end", "exit", "terminate"],
)
@pytest.mark.parametrize("callback", ["pass", "threading.Event().wait()", "source.x(1.0)", "say('x' * 10)"])
def test_a_process_with_subscriptions_ends_at_once(
    source: Source, watch: Callable[[str], Watcher], callback: str, last_words: str, code: int
) -> None:
    source.raise_for_ever()
    watcher = watch(f"""
        begun = threading.Event()

        def call(update):
            begun.set()
            {callback}

        subscriptions = [source.count.subscribe(lossless=n % 2 == 0) for n in range(5)]
        for each in subscriptions:
            each.add_callback(call)
        iterator = iter(source.count.subscribe())
        next(iterator)
        begun.wait()
        print('ending', file=sys.stderr, flush=True)
        {last_words}
    """)
    assert watcher._process.stderr is not None
    assert watcher._process.stderr.readline() == "ending\n"
    begun = time.monotonic()
    returned, _, complained = watcher.end()
    assert (returned, complained) == (code, "")
    assert time.monotonic() - begun < 3


def test_a_script_that_fails_with_subscriptions_shows_its_error_only(
    source: Source, watch: Callable[[str], Watcher]
) -> None:
    code, _, complained = watch("""
        def take(update):
            pass

        subscription = source.count.subscribe()
        subscription.add_callback(take)
        subscription.wait_for(lambda value: True, timeout=20)
        1 / 0
    """).end()
    assert code == 1
    assert complained.count("Traceback") == 1
    assert complained.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_subscribes_anew_and_its_parent_goes_on(
    source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        import warnings

        values = []
        seven = threading.Event()

        def take(update):
            values.append(update.value)
            if update.value == 7:
                seven.set()

        subscription = source.count.subscribe(lossless=True)
        subscription.add_callback(take)
        subscription.wait_for(lambda value: value == 0, timeout=20)
        source.count(3)
        warnings.simplefilter('ignore')
        child = os.fork()
        if not child:
            mine, seen = [], threading.Event()

            def hear(update):
                mine.append(update.value)
                if update.value == 7:
                    seen.set()

            fresh = source.count.subscribe(lossless=True)
            fresh.add_callback(hear)
            assert fresh.wait_for(lambda value: value == 3, timeout=20)
            say('child')
            assert sys.stdin.readline()
            say('child', seen.wait(20), mine)
            os._exit(0)
        said = os.waitpid(child, os.WNOHANG)
        seven.wait(30)
        _, status = os.waitpid(child, 0)
        say('parent', values, status)
    """)
    assert watcher.hear() == "child"
    source.count(5)
    source.count(7)
    assert watcher._process.stdin is not None
    watcher._process.stdin.write("\n")
    watcher._process.stdin.flush()
    assert watcher.hear() == "child True [3, 5, 7]"
    assert watcher.hear() == "parent [0, 3, 5, 7] 0"
    assert watcher.end() == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_that_ends_takes_nothing_from_its_parent(
    source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        import warnings

        warnings.simplefilter('ignore')
        values = []

        def take(update):
            values.append(update.value)

        subscription = source.count.subscribe(lossless=True, queue=100_000)
        subscription.add_callback(take)
        subscription.wait_for(lambda value: value == 0, timeout=20)
        source.raise_in_threads(20_000)
        for _ in range(5):
            child = os.fork()
            if not child:
                source.x(1.0)
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
        subscription.wait_for(lambda value: value == 20_000, timeout=30)
        while not values or values[-1] != 20_000:
            time.sleep(0.001)
        say(values == list(range(20_001)))
    """)
    assert watcher.hear() == "True"
    assert watcher.end() == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_what_a_forked_child_does_with_its_parent_s_subscriptions_reaches_only_itself(
    source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        import gc, warnings

        warnings.simplefilter('ignore')
        values, more = [], []

        def take(update):
            values.append(update.value)

        def take_more(update):
            more.append(update.value)

        subscription = source.count.subscribe(lossless=True, queue=100_000)
        subscription.add_callback(take)
        other = source.other.subscribe(lossless=True)
        other.add_callback(take_more)
        subscription.wait_for(lambda value: value == 0, timeout=20)
        source.raise_in_threads(30_000)
        for turn in range(6):
            child = os.fork()
            if not child:
                signal.alarm(20)
                if turn == 0:
                    subscription.close(), other.close()
                elif turn == 1:
                    subscription.clear(), other.remove_callback(0)
                elif turn == 2:
                    del subscription, other, take, take_more
                    gc.collect()
                elif turn == 3:
                    subscription.add_callback(take_more), other.add_callback(take)
                elif turn == 4:
                    wait = source.x.subscribe().wait_for(lambda value: True, timeout=15)
                else:
                    repr(subscription), subscription.is_connected, subscription.dropped, subscription.callbacks
                sys.exit(0)
            status = os.waitpid(child, 0)[1]
            assert status == 0, (turn, status)
        subscription.wait_for(lambda value: value == 30_000, timeout=30)
        source.other(9)
        other.wait_for(lambda value: value == 9, timeout=30)
        while not more or more[-1] != 9 or values[-1] != 30_000:
            time.sleep(0.001)
        say(values == list(range(30_001)), more)
    """)
    assert watcher.hear() == "True [0, 9]"
    assert watcher.end() == (0, "", "")


def test_a_server_whose_last_client_subscribed_ends_after_its_linger(
    new_name: Callable[[], str],
) -> None:
    server = start_server(new_name(), linger=0)
    server.create(Source, "source")
    watcher = Watcher(server.name, COUNTING.format(options=""))
    try:
        assert watcher.hear() == "watching"
        server._session.close()
        os.kill(watcher.pid, signal.SIGKILL)
        assert wait_for_exit(server.pid, 10)
    finally:
        watcher.close()


def test_sets_are_as_fast_beside_a_stopped_client(source: Source, watch: Callable[[str], Watcher]) -> None:
    """A coarse check; the fine one is a benchmark."""
    watcher = watch(COUNTING.format(options="lossless=True"))
    assert watcher.hear() == "watching"
    os.kill(watcher.pid, signal.SIGSTOP)
    source.raise_count(5_000)
    ratios = []
    for _ in range(9):
        medians = []
        for parameter in (source.other, source.count):
            spans = []
            for value in range(100):
                begun = time.perf_counter()
                parameter(value)
                spans.append(time.perf_counter() - begun)
            medians.append(statistics.median(spans))
        ratios.append(medians[1] / medians[0])
    assert min(ratios) < 1.5


def test_an_array_subscriber_in_another_process_sees_whole_arrays(
    source: Source, watch: Callable[[str], Watcher]
) -> None:
    watcher = watch("""
        torn, done = [], threading.Event()

        def look(update):
            if update.value.min() != update.value.max():
                torn.append(update.sequence)
            if update.value[0] == -1:
                done.set()

        subscription = source.wave.subscribe()
        subscription.add_callback(look)
        say('watching')
        done.wait()
        say(torn)
    """)
    assert watcher.hear() == "watching"
    source.record(500, 50_000)
    source.wave(np.full(10, -1.0))
    assert watcher.hear() == "[]"
