"""TimeTaggerRPC's cookbook runs as it is written, with its own client and Pyro5's, through the gateway."""

from __future__ import annotations

import re

import pytest
from cookbook import CREATOR, THREADS, USER, reader
from received import eventually

from instrumentserver import Server


def classes(lab: Server) -> list[str]:
    """Return the classes of all objects on the server."""
    return sorted(
        re.split("[.:]", each["class"])[-1] for each in lab.proxies() if each["path"].startswith("@")
    )


@pytest.mark.slow
def test_processes_share_a_tagger_by_its_uri(lab: Server, port: int) -> None:
    with reader(CREATOR, port=port) as creator:
        uri = creator.line()
        assert re.fullmatch(
            rf"PYRO:TimeTagger_[0-9a-f]{{32}}@localhost:{port}", uri.replace("127.0.0.1", "localhost")
        )
        more = "print(cr.getData().shape, tagger_proxy == Proxy(uri))\n"
        with reader(USER, uri=uri, port=port, more=more) as user:
            assert user.line() == "(2,) True"
            assert classes(lab) == ["Countrate", "TimeTagger"]
            user.end()
        eventually(lambda: classes(lab) == ["TimeTagger"])
        creator.end()
    eventually(lambda: classes(lab) == [])


@pytest.mark.slow
def test_killed_creator_leaves_the_tagger_to_those_who_use_it(lab: Server, port: int) -> None:
    with reader(CREATOR, port=port, more="mine = TT.Correlation(tagger_proxy, 1, 2)") as creator:
        more = "print('there', flush=True); input(); print(tagger_proxy.getSerial(), cr.getData().shape)"
        with reader(USER, uri=creator.line(), port=port, more=more) as user:
            assert user.line() == "there"
            eventually(lambda: classes(lab) == ["Correlation", "Countrate", "TimeTagger"])
            creator.kill()
            eventually(lambda: classes(lab) == ["Countrate", "TimeTagger"])
            assert user.process.stdin is not None
            user.process.stdin.write("\n")
            user.process.stdin.flush()
            assert user.line() == "1740000JG2 (2,)"
            assert classes(lab) == ["Countrate", "TimeTagger"]
            user.end()
    eventually(lambda: classes(lab) == [])


@pytest.mark.slow
def test_threads_take_over_proxies_until_ctrl_c(lab: Server, port: int) -> None:
    with reader(THREADS, port=port) as threads:
        # Two threads print at the same time: the words of their lines may be mixed.
        printed = f"{threads.line()} {threads.line()}"
        counted = [printed.count("Thread"), printed.count("Countrate"), printed.count("[[")]
        assert counted == [2, 2, 2]
        assert len(set(re.findall(r"\d{9,}", printed))) == 2
        threads.interrupt()
        assert "Exiting.." in threads.end()
    eventually(lambda: classes(lab) == [])
