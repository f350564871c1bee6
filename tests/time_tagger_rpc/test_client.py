"""Code that was written for TimeTaggerRPC runs with its import lines changed."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
from cookbook import CREATOR, NATIVE, THREADS, USER, reader
from received import eventually

import instrumentserver
from instrumentserver import Server, UnknownName, start_server
from instrumentserver import time_tagger_rpc as client
from instrumentserver.time_tagger_rpc import client as same_client


@pytest.fixture
def lab(server: Server) -> Server:
    """Return a server that serves the simulated SDK."""
    server.serve("instruments.time_tagger", "timetagger", lock="none")
    return server


@pytest.mark.slow
def test_processes_share_a_tagger_by_its_uri(lab: Server) -> None:
    with reader(CREATOR, replace=NATIVE) as creator:
        uri = creator.line()
        assert uri.startswith(f"unix:{lab.name}/@TimeTagger-")
        more = "print(cr.getData().shape, tagger_proxy == Proxy(uri))"
        with reader(USER, replace=NATIVE, uri=uri, more=more) as user:
            assert user.line() == "(2,) True"
            creator.kill()
            user.end()
    eventually(lambda: [each["path"] for each in lab.proxies()] == ["timetagger"])


@pytest.mark.slow
def test_threads_share_proxies_until_ctrl_c(lab: Server) -> None:
    with reader(THREADS, replace=NATIVE) as threads:
        # Two threads print at the same time: the words of their lines may be mixed.
        printed = f"{threads.line()} {threads.line()}"
        assert [printed.count("Thread"), printed.count("Countrate"), printed.count("[[")] == [2, 2, 2]
        assert len(set(re.findall(r"\d{9,}", printed))) == 2
        threads.interrupt()
        assert "Exiting.." in threads.end()
    eventually(lambda: [each["path"] for each in lab.proxies()] == ["timetagger"])


def test_library_is_the_proxy_of_the_served_module(lab: Server) -> None:
    assert client.createProxy is same_client.createProxy
    with client.createProxy() as library:
        assert library == lab.objects["timetagger"] == pickle.loads(pickle.dumps(library))
        assert library.Resolution.HighResA == 1
        tagger = library.createTimeTagger()
    assert library.Counter(tagger, [1]).getData().shape == (1, 1)
    assert instrumentserver.Proxy(tagger._pyroUri) is tagger


def test_library_is_found_by_its_name(lab: Server) -> None:
    other: Any = lab.serve("instruments.time_tagger", "TimeTaggerRPC")
    assert client.createProxy() == other
    assert client.createProxy(_objectId="timetagger") == lab.objects["timetagger"]


@pytest.mark.slow
def test_library_is_found_by_the_port(lab: Server, new_name: Callable[[], str]) -> None:
    listening = start_server(new_name(), linger=5, listen="tcp://127.0.0.1:0")
    other: Any = listening.serve("instruments.time_tagger", "timetagger")
    port = int(listening.address.rpartition(":")[2])
    assert client.createProxy(port=port) == client.createProxy("127.0.0.1", port) == other
    with pytest.raises(UnknownName, match="several Time Tagger libraries") as caught:
        client.createProxy()
    assert other.uri in str(caught.value)
    assert lab.objects["timetagger"].uri in str(caught.value)


def test_what_is_missing_is_named_with_the_remedy(server: Server) -> None:
    with pytest.raises(UnknownName, match=rf"\(running: {server.name}\); serve it with server.serve"):
        client.createProxy()
