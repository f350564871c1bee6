"""Sockets under hostile and heavy traffic."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from received import eventually

from instrumentserver.sockets import DataPullSocket, DataPushSocket

LOCAL = "127.0.0.1"


def hostile_datagrams(count: int) -> list[bytes]:
    """Return datagrams that no client sends on purpose."""
    chance = random.Random(6)
    kinds = [
        lambda: chance.randbytes(chance.randrange(200)),
        lambda: b"#" * chance.randrange(2, 300),
        lambda: "json_wn#{µ: 1}".encode(),
        lambda: b"json_wn#" + b"[" * chance.randrange(1, 8000),
        lambda: b"raw_wn#" + chance.randbytes(30),
        lambda: b"",
    ]
    return [chance.choice(kinds)() if number % 100 else bytes(65507) for number in range(count)]


def side_by_side(*jobs: Callable[[], Any]) -> list[Any]:
    """Return what functions return, each run in a thread of its own; raises what one of them raises."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(50) for future in [pool.submit(job) for job in jobs]]


def push_all(connect: Callable[[int], Any], port: int, clients: int, pushes: int) -> tuple[set, set]:
    """Send numbered pushes from clients side by side; return which got an ACK, and which an ERROR."""
    acknowledged: set[tuple[int, int]] = set()
    refused: set[tuple[int, int]] = set()

    def push(number: int) -> None:
        client = connect(port)
        for value in range(pushes):
            reply = client.ask(b"raw_wn#client:int:%d;value:int:%d" % (number, value))
            if reply.startswith(b"ERROR#The queue is full"):
                refused.add((number, value))
            else:
                assert reply == b"ACK#{'client': %d, 'value': %d}" % (number, value)
                acknowledged.add((number, value))

    side_by_side(*[partial(push, number) for number in range(clients)])
    assert len(acknowledged) + len(refused) == clients * pushes
    return acknowledged, refused


@pytest.mark.slow
def test_hostile_datagrams_disturb_nobody(line) -> None:
    datagrams = hostile_datagrams(5000)
    enemies_left = [1, 1]
    acknowledged: set[tuple[int, int]] = set()

    def attack(port: int, request: bytes, reply: bytes) -> int:
        enemy, pace = line(port), line(port)
        try:
            for number in range(0, len(datagrams), 2):
                enemy.send(datagrams[number])
                enemy.send(datagrams[number + 1])
                # So often that the socket's buffer never runs over, and every datagram is looked at.
                assert pace.ask(request) == reply
        finally:
            enemies_left.pop()
        return len(datagrams) // 2

    def read() -> int:
        client, last, asked = line(pull.port), 0, 0
        while enemies_left:
            x, y = json.loads(client.ask(b"a#json"))
            assert x == y >= last
            last = x
            assert client.ask(b"b#raw") == b"1,2"
            asked += 2
        return asked

    def write(number: int) -> None:
        client, value = line(push.port), 0
        while enemies_left:
            value += 1
            assert client.ask(b"raw_wn#a:int:%d,%d" % (number, value)) == b"ACK#{'a': [%d, %d]}" % (
                number,
                value,
            )
            acknowledged.add((number, value))

    def feed() -> None:
        number = 0
        while enemies_left:
            number += 1
            pull.set_point("a", (number, number))
            # Others are to have a turn: this thread never waits for anything.
            time.sleep(0)

    pull = DataPullSocket("pull", ["a", "b"], 0, 0, 0, host=LOCAL)
    with pull, DataPushSocket("push", 0, "enqueue", host=LOCAL) as push:
        pull.set_point("b", (1, 2))
        to_pull, to_push, *read_by_each = side_by_side(
            partial(attack, pull.port, b"b#raw", b"1,2"),
            partial(attack, push.port, b"name", b"RET#push"),
            *[read, read],
            *[partial(write, number) for number in range(3)],
            feed,
        )[:4]
        for target, asked in ((pull, to_pull + sum(read_by_each)), (push, to_push + len(acknowledged))):
            counted = target.statistics
            assert counted.received == len(datagrams) + asked
            assert counted.truncated == sum(len(datagram) > 8192 for datagram in datagrams)
            assert counted.refused + counted.unanswered == len(datagrams)
            assert target.is_alive()
        stored = [push.queue.get_nowait()["a"] for _ in range(push.queue.qsize())]
        assert sorted(map(tuple, stored)) == sorted(acknowledged)


@pytest.mark.slow
def test_every_acknowledged_push_was_stored(line) -> None:
    with DataPushSocket("push", 0, "enqueue", host=LOCAL) as push:
        acknowledged, _ = push_all(line, push.port, clients=10, pushes=2000)
        stored = [push.queue.get_nowait() for _ in range(push.queue.qsize())]
        assert len(stored) == len(acknowledged) == 20_000
        assert {(item["client"], item["value"]) for item in stored} == acknowledged
        for number in range(10):
            assert [item["value"] for item in stored if item["client"] == number] == list(range(2000))
        assert push.last[1] == stored[-1]
        counted = push.statistics
        assert (counted.received, counted.refused, counted.unanswered) == (20_000, 0, 0)


@pytest.mark.slow
def test_flood_is_stored_at_least_as_far_as_it_was_acknowledged() -> None:
    def flood(number: int) -> set[tuple[int, int]]:
        acknowledged = set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((LOCAL, push.port))
            for value in range(2000):
                client.send(b"raw_wn#client:int:%d;value:int:%d" % (number, value))
            client.settimeout(1)
            for _ in range(30):
                # Answered after all pushes, unless it is lost as many of them were.
                client.send(b"name")
                with contextlib.suppress(TimeoutError):
                    while (reply := client.recv(1024)) != b"RET#push":
                        data = ast.literal_eval(reply.decode().removeprefix("ACK#"))
                        acknowledged.add((data["client"], data["value"]))
                    return acknowledged
        raise AssertionError("the socket does not answer any more")

    with DataPushSocket("push", 0, "enqueue", host=LOCAL) as push:
        acknowledged = set().union(*side_by_side(*[partial(flood, number) for number in range(10)]))
        stored = [push.queue.get_nowait() for _ in range(push.queue.qsize())]
        assert acknowledged
        assert acknowledged <= {(item["client"], item["value"]) for item in stored}
        counted = push.statistics
        assert counted.received >= len(stored) + 10
        assert (counted.refused, counted.unanswered) == (0, 0)


@pytest.mark.slow
def test_push_that_a_full_queue_refuses_was_not_stored(line) -> None:
    with DataPushSocket("push", 0, "enqueue", queue.Queue(700), host=LOCAL) as push:
        acknowledged, _ = push_all(line, push.port, clients=10, pushes=200)
        stored = [push.queue.get_nowait() for _ in range(push.queue.qsize())]
        assert len(stored) == len(acknowledged) == 700
        assert {(item["client"], item["value"]) for item in stored} == acknowledged
        assert push.last[1] == push.updated[1] == stored[-1]
        counted = push.statistics
        assert (counted.received, counted.refused, counted.unanswered) == (2000, 1300, 0)


@pytest.mark.slow
def test_every_acknowledged_push_reaches_the_async_callback(line) -> None:
    called: list[tuple[int, int]] = []
    all_came = threading.Event()

    def callback(data: dict[str, int]) -> None:
        called.append((data["client"], data["value"]))
        if len(called) == 5000:
            all_came.set()

    with DataPushSocket("push", 0, "callback_async", callback=callback, host=LOCAL) as push:
        acknowledged, refused = push_all(line, push.port, clients=10, pushes=500)
        assert refused == set()
        assert all_came.wait(10)
        assert set(called) == acknowledged
        for number in range(10):
            assert [value for client, value in called if client == number] == list(range(500))
        assert push.statistics.received == 5000


@pytest.mark.parametrize(
    "kinds",
    [(DataPullSocket, DataPullSocket), (DataPullSocket, DataPushSocket), (DataPushSocket, DataPushSocket)],
)
def test_two_sockets_do_not_answer_each_other_for_ever(kinds, line) -> None:
    with contextlib.ExitStack() as stack:
        one, other = (
            stack.enter_context(
                kind("a", ["x"], 0, host=LOCAL) if kind is DataPullSocket else kind("a", 0, host=LOCAL)
            )
            for kind in kinds
        )
        # As a datagram that somebody has forged would come.
        one.server.socket.sendto(b"nonsense", (LOCAL, other.port))
        eventually(lambda: one.statistics.unanswered + other.statistics.unanswered == 1)
        assert one.statistics.received + other.statistics.received <= 6
        assert line(one.port).ask(b"nonsense") == line(one.port).ask(b"nonsense")


@pytest.mark.parametrize("request_", [b"UNKNOWN_COMMMAND", b"ERROR#UNKNOWN_COMMMAND"])
def test_refusal_as_a_request_is_answered_once(request_: bytes, line) -> None:
    with DataPullSocket("pull", ["a"], 0, host=LOCAL) as pull:
        client = line(pull.port)
        assert client.ask(request_) == b"UNKNOWN_COMMMAND"
        client.send(request_)
        assert client.ask(b"a#raw") == b"0.0,0.0"
        assert line(pull.port).ask(request_) == b"UNKNOWN_COMMMAND"
        assert client.ask(b"nonsense") == b"UNKNOWN_COMMMAND"
        assert client.ask(request_) == b"UNKNOWN_COMMMAND"
        assert pull.statistics.unanswered == 1


def test_points_that_are_set_meanwhile_are_never_torn(line) -> None:
    with DataPullSocket("pull", ["a", "b"], 0, host=LOCAL) as pull:
        over = threading.Event()

        def feed() -> None:
            number = 0
            while not over.is_set():
                number += 1
                pull.set_point("a", (number, number))

        thread = threading.Thread(target=feed)
        thread.start()
        client = line(pull.port)
        for _ in range(20):
            x, y = client.ask(b"a#raw").split(b",")
            assert x in (y, b"0.0")
        over.set()
        thread.join(10)


ECHO = """
import socket, sys, threading
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("127.0.0.1", 0))
def serve():
    while True:
        request, client = echo.recvfrom(8192)
        echo.sendto(request, client)
threading.Thread(target=serve, daemon=True).start()
print(echo.getsockname()[1], flush=True)
sys.stdin.read()
"""
PULL = """
import sys
from instrumentserver.sockets import DataPullSocket
with DataPullSocket("pull", ["a"], 0, host="127.0.0.1") as pull:
    pull.set_point("a", (1795166981.43, 1.5))
    print(pull.port, flush=True)
    sys.stdin.read()
"""


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("request_", [b"a#json", b"a#raw", b"raw", b"json_wn"], ids=bytes.decode)
def test_pull_takes_at_most_half_as_long_again_as_an_echo(request_: bytes, line) -> None:
    # All on one processor: else it is measured which of the two happens to run on the client's.
    with one_processor(), program(ECHO) as echo, program(PULL) as pull:
        echoed, pulled = line(echo), line(pull)
        ratios: list[float] = []
        while len(ratios) < 5 and min(ratios, default=2) > 1.5:
            ratios.append(ratio(pulled, echoed, request_))
        assert min(ratios) <= 1.5, ratios


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Have this process, and those that it starts, run on one processor, where the system can do that."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def program(text: str) -> Iterator[int]:
    """Run a program that prints its port, and ends with its standard input."""
    process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None and process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def ratio(measured, peer, request: bytes) -> float:
    """Return how much longer a round trip takes than a peer's, asked in turn: medians of 1000."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(1000):
        for client, taken in zip((measured, peer), times, strict=True):
            begin = time.perf_counter()
            client.ask(request)
            taken.append(time.perf_counter() - begin)
    own, others = map(statistics.median, times)
    return own / others
