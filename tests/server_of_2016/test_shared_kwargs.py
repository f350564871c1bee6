"""Keyword arguments that a server holds once for all its instruments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from instrumentserver import Server, connect, find_instrument, start_server

from .bench import Bench, SharingGates


@pytest.fixture
def own(new_name: Callable[[], str]) -> Server:
    """Return a server that shares nothing yet."""
    return start_server(new_name())


def test_they_reach_every_instrument_that_names_them(own: Server, bench: Bench) -> None:
    first = SharingGates("first", model=bench, server_name=own.name)
    second = SharingGates("second", server_name=own.name)
    first.chan0(0.5)
    assert second.chan0() == 0.5


def test_another_value_is_refused_and_both_are_shown(own: Server, bench: Bench) -> None:
    SharingGates("first", model=bench, server_name=own.name)
    other = Bench("other", server_name=own.name)
    with pytest.raises(
        ValueError, match=r"different shared_kwargs: it has model=<.*bench.*>, not <.*other.*>"
    ):
        SharingGates("second", model=other, server_name=own.name)
    assert "second" not in own.instruments


def test_the_same_value_is_accepted(own: Server, bench: Bench) -> None:
    SharingGates("first", model=bench, server_name=own.name)
    again = find_instrument("bench")
    assert SharingGates("second", model=again, server_name=own.name).wired_to == "bench"


@pytest.mark.parametrize("where", ["on the same server", "on another server"])
def test_an_instrument_that_was_made_again_is_shared_as_it_is_now(
    own: Server, new_name: Callable[[], str], where: str
) -> None:
    at = own.name if where == "on the same server" else new_name()
    bench = Bench("model", server_name=at)
    SharingGates("first", model=bench, server_name=own.name)
    bench.restart()
    assert SharingGates("second", server_name=own.name).reach() == 1
    bench.close()
    again = Bench("model", server_name=at)
    assert SharingGates("third", model=again, server_name=own.name).chan0() == 0
    assert SharingGates("fourth", server_name=own.name).chan0() == 0


def test_an_instrument_that_is_gone_is_named_in_the_error(own: Server) -> None:
    bench = Bench("model", server_name=own.name)
    SharingGates("first", model=bench, server_name=own.name)
    bench.close()
    with pytest.raises(ValueError, match=r"shared_kwargs model .* is gone: instrument 'model' was closed by"):
        SharingGates("second", server_name=own.name)
    assert "second" not in connect(own.name).instruments
