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
from drivers import Onlooker
from received import Received, eventually
from watched import Source

from instrumentserver import Server, start_server
from instrumentserver.transport.exits import wait_for_exit

pytestmark = pytest.mark.slow

COUNTING = """
import threading

events, dropped, torn = 0, 0, []
watching, done = threading.Event(), threading.Event()

def count(update):
    global events, dropped
    events, dropped = events + 1 + update.dropped, dropped + update.dropped
    watching.set()
    if str(update.value) == '-1':
        done.set()

def look(update):
    if update.value.min() != update.value.max():
        torn.append(update.sequence)
    if update.value[0] == -1:
        done.set()

def sleep(update):
    watching.set()
    threading.Event().wait()

def watch(parameter, callback, **options):
    subscription = parameter.subscribe(**options)
    subscription.add_callback(callback)
    return subscription
"""
PRELUDE = """
    import os, signal, sys, threading, time
    from instrumentserver import connect
    source = connect(sys.argv[1]).instruments['source']

    def say(*words):
        print(*words, flush=True)
"""
_SECONDS = 40.0


class Watcher:
    """Another process that watches ``source``, and can be stopped."""

    def __init__(self, server: Server, source: Source) -> None:
        self.server = server
        self._onlooker = server.create(Onlooker, f"onlooker{server.pid}")
        self._onlooker.do(COUNTING, source=source)
        self.do = self._onlooker.do
        self.see = self._onlooker.see

    def watch(self, what: str) -> None:
        """Subscribe, and wait for the first update."""
        self.do(f"subscription = watch({what})")
        assert self.see("watching.wait(20)")

    def stop(self) -> None:
        """Stop the process where it is."""
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have the process go on."""
        os.kill(self.server.pid, signal.SIGCONT)


@pytest.fixture
def source(server: Server) -> Source:
    return server.create(Source, "source")


@pytest.fixture
def new_watcher(source: Source, new_name: Callable[[], str]) -> Iterator[Callable[[], Watcher]]:
    """Yield what starts a process that watches."""
    watchers: list[Watcher] = []

    def start() -> Watcher:
        watchers.append(Watcher(start_server(new_name(), linger=5), source))
        return watchers[-1]

    yield start
    for each in watchers:
        # A process that still sleeps in a callback need not end in order.
        each.server.kill()


@pytest.fixture
def watcher(new_watcher: Callable[[], Watcher]) -> Watcher:
    return new_watcher()


@pytest.mark.parametrize("options", ["", "lossless=True, queue=10", "lossless=True, queue=100_000"])
def test_a_stopped_client_costs_nobody_anything_and_counts_right_afterwards(
    source: Source, watcher: Watcher, options: str
) -> None:
    watcher.watch(f"source.count, count, {options}")
    watcher.stop()
    received = Received()
    source.count.subscribe().add_callback(received.take)
    for value in range(1, 1_001):
        source.count(value)
    source.raise_count(9_000, first=1_001)
    received.wait_for_value(10_000)
    watcher.go_on()
    source.count(-1)
    assert watcher.see("done.wait(20)")
    assert watcher.see("(events, dropped == subscription.dropped)") == (10_002, True)
    assert watcher.see("dropped > 0") == ("100_000" not in options)


def test_a_client_that_sleeps_for_ever_leaves_memory_bounded(
    server: Server, source: Source, watcher: Watcher
) -> None:
    for options in ("", "lossless=True, queue=5", "interval=3600.0"):
        watcher.watch(f"source.wave, sleep, {options}")
        watcher.watch(f"source.count, sleep, {options}")
    processes = psutil.Process(server.pid), psutil.Process(watcher.server.pid)
    source.record(20, 100_000)
    source.raise_count(3_000)
    before = [process.memory_info().rss for process in processes]
    source.record(300, 100_000)
    source.raise_count(50_000)
    grown = [process.memory_info().rss - rss for process, rss in zip(processes, before, strict=True)]
    # 300 arrays are 240 MB.
    assert max(grown) < 40e6


def test_a_stopped_client_leaves_the_memory_of_the_server_bounded(
    server: Server, source: Source, watcher: Watcher
) -> None:
    for options in ("", "lossless=True, queue=5"):
        watcher.watch(f"source.wave, count, {options}")
    watcher.stop()
    process = psutil.Process(server.pid)
    source.record(20, 100_000)
    before = process.memory_info().rss
    source.record(200, 100_000)
    assert process.memory_info().rss - before < 40e6
    # The tree changes, too, which a stopped client is to be told of.
    for _ in range(20):
        source.grow("late")
        source.shrink("late")
    begun = time.monotonic()
    source.x(1.0)
    assert time.monotonic() - begun < 1
    watcher.go_on()


def test_a_killed_client_is_forgotten(
    server: Server, source: Source, new_watcher: Callable[[], Watcher]
) -> None:
    looks = source.looks("count")
    watchers = [new_watcher() for _ in range(2)]
    for each in watchers:
        each.watch("source.count, count, lossless=True")
    assert source.looks("count") != looks
    source.raise_in_threads(50_000)
    for each in watchers:
        each.server.kill()
    eventually(lambda: len(server.status()["clients"]) == 1)
    eventually(lambda: source.looks("count") == looks)
    received = Received()
    source.other.subscribe().add_callback(received.take)
    source.other(5)
    received.wait_for_value(5)
    assert "Traceback" not in server.log()


def test_a_client_stopped_for_ever_keeps_no_server_from_ending(
    server: Server, source: Source, watcher: Watcher
) -> None:
    watcher.watch("source.count, count, lossless=True")
    watcher.stop()
    source.raise_count(20_000)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5


def test_many_processes_hear_the_same(source: Source, new_watcher: Callable[[], Watcher]) -> None:
    watchers = [new_watcher() for _ in range(4)]
    for each in watchers:
        each.watch("source.count, count, lossless=True, queue=100_000")
    source.raise_count(3_000)
    source.count(-1)
    for each in watchers:
        assert each.see("done.wait(20)")
        assert each.see("(events, dropped)") == (3_002, 0)


def test_a_watcher_sees_whole_arrays(source: Source, watcher: Watcher) -> None:
    watcher.do("subscription = watch(source.wave, look)")
    source.record(300, 50_000)
    source.wave(np.full(10, -1.0))
    assert watcher.see("done.wait(20)")
    assert watcher.see("torn") == []


def test_sets_are_as_fast_beside_a_stopped_client(source: Source, watcher: Watcher) -> None:
    """A coarse check; the fine one is a benchmark."""
    watcher.watch("source.count, count, lossless=True")
    watcher.stop()
    source.raise_count(5_000)
    ratios = []
    for _ in range(9):
        medians = []
        for parameter in (source.other, source.count):
            spans = []
            for value in range(50):
                begun = time.perf_counter()
                parameter(value)
                spans.append(time.perf_counter() - begun)
            medians.append(statistics.median(spans))
        ratios.append(medians[1] / medians[0])
    assert min(ratios) < 1.5


def test_a_server_whose_last_client_subscribed_ends_after_its_linger(new_name: Callable[[], str]) -> None:
    server = start_server(new_name(), linger=0)
    watcher = Watcher(start_server(new_name()), server.create(Source, "source"))
    watcher.watch("source.count, count")
    server._session.close()
    watcher.server.kill()
    assert wait_for_exit(server.pid, 10)


# Scripts


class Script:
    """A script that watches, and that tells line by line.

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

    def hear(self) -> str:
        """Return the next line that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return line.rstrip("\n") if line else f"ended: {self.end()}"

    def say(self) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait for its end, and return its exit code and what it complained of."""
        _, complained = self._process.communicate(timeout=_SECONDS)
        return self._process.returncode, complained

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def run(server: Server) -> Iterator[Callable[[str], Script]]:
    """Yield what starts a script."""
    scripts: list[Script] = []

    def start(text: str) -> Script:
        scripts.append(Script(server.name, text))
        return scripts[-1]

    yield start
    for each in scripts:
        each.close()


WATCHING = """
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
    say('ending')
    sys.stdin.readline()
    {last_words}
"""
ENDINGS = [
    ("pass", "", 0, ""),
    ("threading.Event().wait()", "1 / 0", 1, "ZeroDivisionError"),
    ("source.x(1.0)", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15, ""),
]


def test_scripts_with_subscriptions_end_at_once_however_they_end(
    source: Source, run: Callable[[str], Script]
) -> None:
    scripts = [
        run(WATCHING.format(callback=callback, last_words=last_words))
        for callback, last_words, _, _ in ENDINGS
    ]
    for script in scripts:
        assert script.hear() == "ending"
    source.raise_for_ever()
    for script, (_, _, code, error) in zip(scripts, ENDINGS, strict=True):
        begun = time.monotonic()
        script.say()
        returned, complained = script.end()
        assert time.monotonic() - begun < 3
        assert (returned, complained.count("Traceback")) == (code, 1 if error else 0)
        assert error in complained
        assert error or not complained


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_subscribes_anew_and_its_parent_goes_on(
    source: Source, run: Callable[[str], Script]
) -> None:
    script = run("""
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
    assert script.hear() == "child"
    source.count(5)
    source.count(7)
    script.say()
    assert script.hear() == "child True [3, 5, 7]"
    assert script.hear() == "parent [0, 3, 5, 7] 0"
    assert script.end() == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_what_a_forked_child_does_with_its_parent_s_subscriptions_reaches_only_itself(
    source: Source, run: Callable[[str], Script]
) -> None:
    script = run("""
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
        source.raise_in_threads(10_000)
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
        subscription.wait_for(lambda value: value == 10_000, timeout=30)
        source.other(9)
        other.wait_for(lambda value: value == 9, timeout=30)
        while not more or more[-1] != 9 or values[-1] != 10_000:
            time.sleep(0.001)
        say(values == list(range(10_001)), more)
    """)
    assert script.hear() == "True [0, 9]"
    assert script.end() == (0, "")
