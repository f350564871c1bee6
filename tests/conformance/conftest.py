"""One server for all conformance tests, and instruments made here or there in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import pytest
from conformance.cases import Case
from conformance.looking import Make, differences, look_at
from qcodes.instrument import Instrument

from instrumentserver import Server, list_servers, start_server


@pytest.fixture(scope="module")
def home() -> Iterator[Server]:
    """Return the server of all conformance tests."""
    server = start_server("conformance")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left() -> Iterator[None]:
    """Close the instruments that a test made, and leave the server for the next one."""
    yield
    Instrument.close_all()
    for server in list_servers():
        for instrument in server.instruments.values():
            instrument.close()


@pytest.fixture(params=["local", "remote"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes an instrument: in this process for one run of the test, on a server for the other."""
    place: Literal["local", "remote"] = request.param
    if place == "local":
        return lambda cls, *args, **kwargs: cls(*args, **kwargs)
    home: Server = request.getfixturevalue("home")
    return home.create


@pytest.fixture(scope="module")
def differing(home: Server) -> Callable[[Case], Mapping[str, list[str]]]:
    """Return what tells by aspect how the two sides of a case differ; each case is looked at once."""
    known: dict[str, Mapping[str, list[str]]] = {}
    failed: dict[str, Exception] = {}

    def differ(case: Case) -> Mapping[str, list[str]]:
        if case.name in failed:
            raise failed[case.name]
        if case.name not in known:
            try:
                sides = look_at(case, home)
            except Exception as error:
                failed[case.name] = error
                raise
            known[case.name] = {aspect: differences(aspect, *both) for aspect, both in sides.items()}
        return known[case.name]

    return differ
