"""Exceptions of any class arrive, and cost neither a connection nor an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from failing_sdk import Derived, Frozen, Holding, NeedsMore, NoText, Plain, Status, WithEnum
from holding import held, until

from instrumentserver import RemoteError, Server, start_server


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("failing")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left() -> None:
    """Leave the server of the module to go on."""


@pytest.fixture(scope="module")
def sdk(home: Server) -> Any:
    """Return the proxy of an SDK that fails."""
    return home.serve("failing_sdk", "sdk", lock="none")


@pytest.fixture
def kept(home: Server, sdk: Any) -> Iterator[Any]:
    """Yield an object, and check that neither it nor a connection was lost."""
    before = home.status()["clients"][0]["connections"]
    thing = sdk.keep()
    yield thing
    assert thing.name() == "kept"
    assert held(home)[thing.uri.partition("/")[2]] == 1
    assert home.status()["clients"][0]["connections"] >= before


@pytest.mark.parametrize(
    ("name", "cls", "text"),
    [
        ("Plain", Plain, "^it broke"),
        ("Derived", Derived, "^it broke"),
        ("NeedsMore", NeedsMore, "^error 5 at it broke"),
        ("Frozen", Frozen, "^7"),
        ("WithEnum", WithEnum, "it broke"),
        ("Holding", Holding, "it broke.*Kept object"),
        ("Native", RemoteError, "^no.such.module.Native: it broke"),
        ("Ends", RemoteError, "^builtins.SystemExit: it broke"),
        ("Interrupts", RemoteError, "^builtins.KeyboardInterrupt: it broke"),
        ("NoArgs", RemoteError, "^failing_sdk.NoArgs: it broke"),
        ("NoDict", RemoteError, "^failing_sdk.NoDict: it broke"),
        ("NoText", NoText, ""),
        ("NoAttributes", RemoteError, "^failing_sdk.NoAttributes: it broke"),
        ("NoSetting", Exception, "it broke"),
        ("Group", ExceptionGroup, "it broke"),
    ],
)
def test_an_exception_arrives_and_costs_nothing(
    sdk: Any, kept: Any, name: str, cls: type[Exception], text: str
) -> None:
    with pytest.raises(cls) as raised:
        sdk.fail(name)

    assert "Traceback on server 'failing'" in raised.value.__notes__[-1]
    if text:
        raised.match(text)


def test_what_an_exception_holds_arrives_as_far_as_it_can(sdk: Any, kept: Any) -> None:
    with pytest.raises(WithEnum) as with_enum:
        sdk.fail("WithEnum")
    with pytest.raises(NeedsMore) as needs_more:
        sdk.fail("NeedsMore")
    with pytest.raises(Holding) as holding:
        sdk.fail("Holding")

    assert with_enum.value.args == ("it broke", Status.BROKEN)
    assert needs_more.value.code == 5
    assert "Kept object" in holding.value.args[1]
    assert "Kept object" in str(holding.value.parts)


def test_errors_of_errors_of_errors_arrive(sdk: Any, kept: Any) -> None:
    with pytest.raises((Plain, Holding), match="deep"):
        sdk.fail_deeply(200)


def test_an_object_of_which_everything_fails_is_an_object(home: Server, sdk: Any, kept: Any) -> None:
    (broken,) = sdk.broken()

    with pytest.raises(RemoteError, match=r"no\.such\.module\.Native: len"):
        len(broken)
    with pytest.raises(Frozen):
        _ = broken.value
    assert [entry["shown"] for entry in home.proxies() if "Broken" in entry["path"]] == [
        "<Broken whose repr fails: NoText>"
    ]
    assert broken == broken and broken in {broken}
    del broken
    until(lambda: not any("Broken" in path for path in held(home)))
