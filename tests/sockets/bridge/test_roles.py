"""Roles by network."""

from __future__ import annotations

from typing import Any

import pytest

from instrumentserver import UsageError
from instrumentserver.sockets.bridge.roles import Roles

LAB = {"192.168.1.0/24": "viewer", "192.168.1.7": "operator", "192.168.0.0/16": "operator"}


@pytest.mark.parametrize(
    ("host", "role"),
    [
        ("192.168.1.8", "viewer"),
        ("192.168.1.7", "operator"),
        ("192.168.2.8", "operator"),
        ("10.0.0.1", None),
    ],
    ids=["middle", "smallest", "largest", "none"],
)
def test_smallest_network_that_fits_counts(host: str, role: str | None) -> None:
    assert Roles(LAB).of(host) == role
    assert Roles(dict(reversed(LAB.items()))).of(host) == role


def test_without_roles_everybody_is_an_operator() -> None:
    assert Roles(None).of("10.0.0.1") == "operator"


def test_with_no_network_nobody_may_do_anything() -> None:
    assert Roles({}).of("127.0.0.1") is None


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"192.168.1.5/24": "viewer"}, "'192.168.1.5/24' is no network"),
        ({"localhost": "viewer"}, "'localhost' is no network"),
        ({"::1": "viewer"}, "'::1' is no network"),
        ({None: "viewer"}, "None is no network"),
        ({"10.0.0.0/8": "admin"}, "'admin' is no role"),
        ({"10.0.0.1": "viewer", "10.0.0.1/32": "operator"}, "10.0.0.1/32 is given two roles"),
    ],
    ids=["host bits", "name", "IPv6", "nothing", "no role", "two roles"],
)
def test_what_is_no_role_of_a_network_is_refused(roles: Any, words: str) -> None:
    with pytest.raises(UsageError) as error:
        Roles(roles)
    assert words in str(error.value)
