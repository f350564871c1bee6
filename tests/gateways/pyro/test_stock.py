"""TimeTaggerRPC's own client sees the gateway as it sees TimeTaggerRPC's own server, but for what is listed here."""

from __future__ import annotations

import enum
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from instruments import time_tagger
from instrumentserver.gateways.pyro import Gateway

from .observing import observe

DISCARDED = "DaemonError: unknown object 'CounterData_*': it was discarded"
DIFFERENCES: dict[str, tuple[Any, Any]] = {
    # Proxies are arguments in any place.
    "a tagger by keyword": (
        "TypeError: make_iterator_constructor.<locals>.constructor() missing 1 required positional argument: "
        "'tagger_proxy'",
        "proxy of a Countrate",
    ),
    "a proxy in a list": (
        "TypeError: channel is <Pyro5.client.Proxy at *; not connected; for PYRO:Counter_*@127.0.0.1:*; owner *>, "
        "a Proxy; give a whole number",
        "TypeError: channel is <instruments.time_tagger.counter.Counter object at *>, a Counter; give a whole number",
    ),
    # What has gone is told, with the reason.
    "a discarded object": ("DaemonError: unknown object", DISCARDED),
    "a stale proxy": ("AttributeError: 'NoneType' object has no attribute '_obj'", DISCARDED),
    "an unknown object": (
        "CommunicationError: connection to ('127.0.0.1', *) rejected: unknown object",
        "CommunicationError: connection to ('127.0.0.1', *) rejected: unknown object 'nothing': nothing of this name "
        "is served, or was shown by this gateway",
    ),
    "a freed tagger": (
        "RuntimeError: Time Tagger 1740000JG2 was freed with freeTimeTagger: it and its measurements are of no more "
        "use; create it anew with createTimeTagger('1740000JG2')",
        "RuntimeError: instrumentserver.errors.ObjectFreed",
    ),
    # As in the SDK itself.
    "getTagger twice": (True, False),
}


@pytest.fixture(scope="module")
def stock() -> dict[str, Any]:
    """Return what a client sees of TimeTaggerRPC's server."""
    command = [sys.executable, str(Path(__file__).with_name("observing.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        seen = observe("127.0.0.1", port)
        process.stdin.close()
        process.stdout.read()
    return seen


@pytest.fixture(scope="module")
def seen(gateway: Gateway, stock: dict[str, Any]) -> dict[str, Any]:
    """Return what a client sees of the gateway."""
    found = observe("127.0.0.1", gateway.port)
    found["a freed tagger"] = found["a freed tagger"].partition(": @")[0]
    return found


@pytest.mark.slow
def test_gateway_differs_from_the_stock_server_only_as_listed(
    stock: dict[str, Any], seen: dict[str, Any]
) -> None:
    looks = [look for look in stock if look.split()[0] not in ("methods", "attributes")]
    assert {look: (stock[look], seen[look]) for look in looks if stock[look] != seen[look]} == DIFFERENCES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "thing", "more"),
    [
        ("the library", time_tagger, ["enum_definitions"]),
        ("a tagger", time_tagger.TimeTagger, []),
        ("a counter", time_tagger.Counter, []),
        ("a data object", time_tagger.CounterData, ["discard"]),
    ],
)
def test_everything_public_is_there(
    stock: dict[str, Any], seen: dict[str, Any], name: str, thing: Any, more: list[str]
) -> None:
    public = {each: getattr(thing, each) for each in dir(thing) if not each.startswith("_")}
    if isinstance(thing, ModuleType):
        public = {each: public[each] for each in thing.__all__}
    own = {
        each
        for each, value in public.items()
        if not (isinstance(value, type) and issubclass(value, enum.Enum))
    }
    methods = {each for each in own if callable(public[each])}
    assert seen[f"methods of {name}"] == sorted([*methods, *more])
    assert own - methods <= set(seen[f"attributes of {name}"])
    assert set(stock[f"methods of {name}"]) <= set(seen[f"methods of {name}"])
