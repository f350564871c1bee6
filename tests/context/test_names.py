from __future__ import annotations

from typing import Any

import pytest

from instrumentserver.context.names import ChannelName, parse_name, parse_server
from instrumentserver.errors import UsageError


@pytest.mark.parametrize(
    ("text", "server", "path"),
    [
        ("random_walk:x", "", "random_walk.x"),
        ("random_walk.x", "", "random_walk.x"),
        ("dac.ch1.v", "", "dac.ch1.v"),
        ("dac:ch1.v", "", "dac.ch1.v"),
        ("dac.outs.2.v", "", "dac.outs.2.v"),
        ("unix:foo/dac.ch1.v", "unix:foo", "dac.ch1.v"),
        ("unix:foo/dac:ch1:v", "unix:foo", "dac.ch1.v"),
        ("foo/dac.x", "unix:foo", "dac.x"),
        ("foo.bar-2/dac.x", "unix:foo.bar-2", "dac.x"),
        ("tcp://127.0.0.1:5900/dac.x", "tcp://127.0.0.1:5900", "dac.x"),
        ("größe.höhe", "", "größe.höhe"),
        ("a." + "b" * 998, "", "a." + "b" * 998),
    ],
)
def test_a_name_is_a_path_perhaps_behind_a_server(text: str, server: str, path: str) -> None:
    assert parse_name(text) == ChannelName(text, server, path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no name of a channel"),
        ("dac", "has no parameter part"),
        ("dac_ch1_v", "has no parameter part"),
        ("unix:foo/dac", "has no parameter part"),
        ("dac.", "is no name"),
        (".x", "is no name"),
        ("dac..x", "is no name"),
        ("dac.x ", "is no name"),
        ("dac x.v", "is no name"),
        ("dac.x\n", "is no name"),
        ("dac.\0", "is no name"),
        ("dac.\ud800", "is no name"),
        ("dac.#1", "is no name"),
        ("@1.x", "is no name"),
        ("dac.x[0]", "is no name"),
        ("foo/", "is no name"),
        ("/dac.x", "cannot name a server"),
        ("b@d/dac.x", "cannot name a server"),
        ("unix:/dac.x", "cannot name a server"),
        ("tcp://127.0.0.1/dac.x", "is not an address"),
        ("foo/bar/dac.x", "cannot name a server"),
        ("a." + "b" * 999, "more than 1000"),
        (None, "of type NoneType"),
        (5, "of type int"),
        (b"dac.x", "of type bytes"),
        (["dac.x"], "of type list"),
    ],
)
def test_what_can_be_no_name_is_refused_with_the_remedy(text: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse_name(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("foo", "unix:foo"),
        ("unix:foo", "unix:foo"),
        ("tcp://127.0.0.1:5900", "tcp://127.0.0.1:5900"),
    ],
)
def test_a_server_is_given_by_name_or_address(text: str, address: str) -> None:
    assert parse_server(text) == address


@pytest.mark.parametrize("text", ["", "a b", "unix:", "unix:foo/dac", "tcp://127.0.0.1", "http://x", None, 5])
def test_what_can_be_no_server_is_refused(text: Any) -> None:
    with pytest.raises(UsageError):
        parse_server(text)
