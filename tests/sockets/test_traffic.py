"""Sockets under hostile and heavy traffic."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

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


@pytest.mark.slow
def test_hostile_datagrams_disturb_nobody(line) -> None:
    datagrams = hostile_datagrams(5000)
    with DataPullSocket("pull", ["a"], 0, host=LOCAL) as pull, DataPushSocket("push", 0, host=LOCAL) as push:
        pull.set_point("a", (1, 2))
        for target in (pull, push):
            honest = line(target.port)
            request, reply = (b"a#raw", b"1,2") if target is pull else (b"raw_wn#a:int:1", b"ACK#{'a': 1}")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as enemy:
                enemy.connect((LOCAL, target.port))
                for number, datagram in enumerate(datagrams):
                    enemy.send(datagram)
                    # So often that the socket's buffer never runs over, and every datagram is looked at.
                    if not number % 2:
                        assert honest.ask(request) == reply
                assert honest.ask(request) == reply
            counted = target.statistics
            assert counted.received == 5000 + 2501
            assert counted.truncated == sum(len(datagram) > 8192 for datagram in datagrams)
            assert counted.refused + counted.unanswered == 5000
            assert target.is_alive()


@pytest.mark.slow
def test_every_acknowledged_push_was_stored() -> None:
    clients, pushes = 10, 2000
    acknowledged: list[set[int]] = [set() for _ in range(clients)]
    failures: list[BaseException] = []

    def push_all(number: int, port: int) -> None:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(10)
                client.connect((LOCAL, port))
                for value in range(pushes):
                    client.send(b"raw_wn#client:int:%d;value:int:%d" % (number, value))
                    assert client.recv(1024) == b"ACK#{'client': %d, 'value': %d}" % (number, value)
                    acknowledged[number].add(value)
        except BaseException as error:
            failures.append(error)

    with DataPushSocket("push", 0, "enqueue", host=LOCAL) as push:
        threads = [threading.Thread(target=push_all, args=(number, push.port)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(50)
        assert failures == []
        stored: list[set[int]] = [set() for _ in range(clients)]
        for _ in range(push.queue.qsize()):
            item = push.queue.get_nowait()
            stored[item["client"]].add(item["value"])
        assert stored == acknowledged
        assert sum(map(len, stored)) == clients * pushes
        assert push.statistics.received == clients * pushes
        assert push.statistics.refused == push.statistics.unanswered == 0


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
