"""The module for those who use served objects; what its functions do is tested with the objects."""

from __future__ import annotations

import pytest
from drivers import Plain

import instrumentserver
from instrumentserver import ConnectFailed, Proxy, Server, UsageError, objects


@pytest.mark.parametrize("name", objects.__all__)
def test_everything_has_a_docstring(name: str) -> None:
    assert getattr(objects, name).__doc__


def test_a_uri_names_objects_instruments_and_parameters(server: Server) -> None:
    server.serve("math", "lib")
    server.create(Plain, "meter")

    assert Proxy(f"{server.address}/lib").floor(1.5) == 1
    assert Proxy(f"{server.address}/meter") is server.instruments["meter"]
    assert Proxy(f"{server.address}/meter.IDN") is server.instruments["meter"].IDN
    assert instrumentserver.Proxy is objects.Proxy


@pytest.mark.parametrize(
    ("uri", "error", "text"),
    [
        ("unix:nobody/x", ConnectFailed, "is not running"),
        ("nonsense", UsageError, "is not an address"),
        ("PYRO:obj_1@localhost:23000", UsageError, "is not an address"),
    ],
)
def test_what_is_no_uri_or_leads_nowhere_says_so(uri: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Proxy(uri)
