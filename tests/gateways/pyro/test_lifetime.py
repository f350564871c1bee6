"""What stock clients make lives as long as somebody uses it, and not a moment longer."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from Pyro5.api import Proxy
from Pyro5.errors import CommunicationError, DaemonError
from received import eventually
from TimeTaggerRPC import client

from instrumentserver import Proxy as InstrumentServerProxy
from instrumentserver import Server
from instrumentserver.gateways.pyro import Gateway


@pytest.fixture
def counted(lab: Server, gateway: Gateway) -> Iterator[Callable[[], list[str]]]:
    """Return what tells the classes of all objects on the server; begin and end with none."""

    def classes() -> list[str]:
        return sorted(
            re.split("[.:]", each["class"])[-1] for each in lab.proxies() if each["path"].startswith("@")
        )

    eventually(lambda: classes() == [])
    yield classes
    # What pytest has caught keeps the proxies of its frames, and these their connections.
    with warnings.catch_warnings():
        # Of a circle of garbage, Python may take the socket before Pyro's proxy, which would close it.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    eventually(lambda: classes() == [] and gateway.objects == 0)


@pytest.fixture
def library(gateway: Gateway, counted: object) -> Iterator[Any]:
    """Return the library as the stock client has it."""
    with client.createProxy("127.0.0.1", gateway.port) as library:
        yield library


@pytest.mark.slow
def test_objects_end_with_the_connection_that_made_them(
    library: Any, counted: Callable[[], list[str]]
) -> None:
    tagger = library.createTimeTagger()
    counter = library.Counter(tagger, [1])
    assert counted() == ["Counter", "TimeTagger"]
    library._pyroRelease()
    eventually(lambda: counted() == [])
    with pytest.raises(CommunicationError, match="every connection that kept it has ended"):
        counter.getData()


@pytest.mark.slow
def test_objects_stay_for_those_who_use_them(library: Any, counted: Callable[[], list[str]]) -> None:
    tagger = library.createTimeTagger()
    library.Counter(tagger, [1])
    with Proxy(tagger._pyroUri) as same:
        serial = same.getSerial()
        library._pyroRelease()
        eventually(lambda: counted() == ["TimeTagger"])
        assert same.getSerial() == serial
    eventually(lambda: counted() == [])


@pytest.mark.slow
def test_objects_stay_for_clients_of_ours(
    lab: Server, library: Any, counted: Callable[[], list[str]]
) -> None:
    code = (
        "import sys; from instrumentserver import connect\n"
        "library = connect('lab').objects['timetagger']\n"
        "found = [each for each in connect('lab').proxies() if each['class'].endswith('TimeTagger')]\n"
        "from instrumentserver import Proxy\n"
        'tagger = Proxy(f\'{connect("lab").address}/{found[0]["path"]}\')\n'
        "print(tagger.getSerial(), flush=True); sys.stdin.readline(); print(tagger.getSerial())"
    )
    tagger = library.createTimeTagger()
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{tagger.getSerial()}\n"
        tagger._pyroRelease()
        library._pyroRelease()
        eventually(lambda: len(counted()) == 1 and "gateway" not in str(lab.proxies()))
        out, _ = process.communicate("\n", timeout=20)
    assert out == "1740000JG2\n"


@pytest.mark.slow
def test_stock_clients_do_not_free_what_others_use(
    lab: Server, port: int, counted: Callable[[], list[str]]
) -> None:
    with client.createProxy("127.0.0.1", port) as library, library.createTimeTagger() as tagger:
        (path,) = (each["path"] for each in lab.proxies() if each["path"].startswith("@"))
        mine = InstrumentServerProxy(f"{lab.address}/{path}")
        with pytest.raises((ValueError, RuntimeError), match="ObjectInUse") as caught:
            library.freeTimeTagger(tagger)
        assert f"pid {os.getpid()}" in str(caught.value)
        assert tagger.getSerial() == mine.getSerial()
        del mine, caught
        gc.collect()
        eventually(lambda: len(lab.proxies()[-1]["holders"]) == 1)
        library.freeTimeTagger(tagger)


@pytest.mark.slow
def test_an_error_costs_neither_the_connection_nor_an_object(
    library: Any, counted: Callable[[], list[str]]
) -> None:
    tagger = library.createTimeTagger()
    connection = library._pyroConnection
    for _ in range(3):
        with pytest.raises(ValueError, match="channel 99 does not exist") as caught:
            library.Counter(tagger, [99])
        assert "instruments/time_tagger" in "".join(caught.value._pyroTraceback)  # type: ignore[attr-defined]
    assert library._pyroConnection is connection
    assert tagger.getSerial() == "1740000JG2"
    assert counted() == ["TimeTagger"]


@pytest.mark.slow
def test_an_interrupted_call_costs_no_object_that_is_in_use(
    library: Any, counted: Callable[[], list[str]]
) -> None:
    tagger = library.createTimeTagger()
    counter = library.Counter(tagger, [1])
    counter.startFor(int(1e14))
    counter._pyroTimeout = 0.05
    with pytest.raises(CommunicationError):
        counter.waitUntilFinished()
    # The stock client has closed this connection, as it does after Ctrl-C.
    assert counter._pyroConnection is None
    counter._pyroTimeout = None
    assert counter.isRunning()
    counter.abort()
    assert counted() == ["Counter", "TimeTagger"]


def test_data_objects_end_when_they_are_discarded(library: Any, counted: Callable[[], list[str]]) -> None:
    tagger = library.createTimeTagger()
    counter = library.Counter(tagger, [1])
    data = counter.getDataObject()
    assert counted() == ["Counter", "CounterData", "TimeTagger"]
    data.discard()
    eventually(lambda: counted() == ["Counter", "TimeTagger"])
    with pytest.raises(DaemonError, match=r"unknown object 'CounterData_\w+': it was discarded"):
        data.getData()


@pytest.mark.slow
def test_a_hundred_live_proxies_in_one_client(
    gateway: Gateway, library: Any, counted: Callable[[], list[str]]
) -> None:
    tagger = library.createTimeTagger()
    tagger.setTestSignal(1, True)
    counters = [library.Counter(tagger, [1]) for _ in range(100)]
    assert all(counter.getData().shape == (1, 1) for counter in counters)
    assert gateway.connections >= 102
    assert gateway.objects == 101
    assert len(counted()) == 101
    for counter in counters:
        counter._pyroRelease()
