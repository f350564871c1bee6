"""Hosts that send points, each from a port of its own, and a live server of this process that receives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
from sockets.live.hosts import LOCAL, Host

from instrumentserver.sockets import LivePoint, LiveServer, LiveSocket


@pytest.fixture
def new_host() -> Iterator[Callable[..., Host]]:
    """Return what makes hosts."""
    hosts: list[Host] = []

    def make(*arguments: Any) -> Host:
        hosts.append(Host(*arguments))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def new_live_socket() -> Iterator[Callable[..., LiveSocket]]:
    """Return what makes live sockets of computers that are called as one likes."""
    made: list[LiveSocket] = []

    def make(hostname: str, port: int, *codenames: str) -> LiveSocket:
        made.append(LiveSocket(hostname, codenames, (LOCAL, port), no_internal_data_pull_socket=True))
        made[-1].hostname = hostname
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def new_live() -> Iterator[Callable[..., LiveServer]]:
    """Return what makes live servers of this process."""
    made: list[LiveServer] = []

    def make(name: str = "live", port: int = 0, **kwargs: Any) -> LiveServer:
        made.append(LiveServer(name, port, LOCAL, **kwargs))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def live(new_live: Callable[..., LiveServer]) -> LiveServer:
    return new_live()


@pytest.fixture
def came(live: LiveServer) -> Queue[LivePoint]:
    """Return a queue of the points that have come."""
    points: Queue[LivePoint] = Queue()
    live.subscribe(points.put)
    return points
