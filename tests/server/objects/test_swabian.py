"""The real Time Tagger SDK, served whole to a client that does not have it; what it does without hardware.

It is not free software and no extra names it: where it is installed the test runs.
"""

from __future__ import annotations

import enum
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from instrumentserver import Server, start_server
from instrumentserver.gateways.pyro import Gateway

PLUMBING = "cvar"
"""What SWIG puts into a module for the globals of its library."""
CLIENT = """
import enum, importlib.abc, inspect, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('Swabian', 'TimeTagger'):
            raise ImportError(f'{name} is not installed here')

sys.meta_path.insert(0, Blocker())
from instrumentserver import connect

def signature(thing):
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return None

def is_enum(value):
    return isinstance(value, type) and issubclass(value, enum.Enum)

def outcome(call):
    try:
        return ['returned', repr(call())]
    except Exception as error:
        return [type(error).__name__, str(error)]

TT = connect(sys.argv[1]).objects['timetagger']
public = [name for name in dir(TT) if not name.startswith('_') and name != 'uri']
members = {name: getattr(TT, name) for name in public}
enums = {name: value for name, value in members.items() if is_enum(value)}
callables = {name: value for name, value in members.items() if callable(value) and not is_enum(value)}
print(json.dumps({
    'public': public,
    'doc': TT.__doc__,
    'constants': {name: value for name, value in members.items() if type(value) in (int, str)},
    'enums': {
        name: [cls.__mro__[1].__name__, {each: repr(cls[each]) for each in cls.__members__}, cls.__doc__]
        for name, cls in enums.items()
    },
    'callables': {name: [value.__doc__, signature(value)] for name, value in callables.items()},
    'calls': {
        'getVersion()': outcome(lambda: TT.getVersion()),
        'scanTimeTagger()': outcome(lambda: TT.scanTimeTagger()),
        'createTimeTagger()': outcome(lambda: TT.createTimeTagger()),
        'createTimeTagger(resolution=HighResA)': outcome(
            lambda: TT.createTimeTagger('0000000000', TT.Resolution.HighResA)
        ),
        'Counter(1, 2)': outcome(lambda: TT.Counter(1, 2)),
        'createTimeTagger(1, 2, 3, 4)': outcome(lambda: TT.createTimeTagger(1, 2, 3, 4)),
        'getVersion(1)': outcome(lambda: TT.getVersion(1)),
    },
    'blocked': 'Swabian' not in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def sdk() -> ModuleType:
    """Return the real SDK."""
    found: ModuleType = pytest.importorskip(
        "Swabian.TimeTagger", reason="the real Time Tagger SDK is not installed"
    )
    return found


@pytest.fixture
def server(sdk: ModuleType, new_name: Callable[[], str]) -> Server:
    """Return a server that serves the real SDK."""
    server = start_server(new_name(), linger=5)
    server.serve("Swabian.TimeTagger", "timetagger", lock="none")
    return server


@pytest.fixture
def seen(server: Server) -> dict[str, Any]:
    """Return what a client without the SDK sees."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, server.name], capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def signature(thing: Any) -> str | None:
    """Return how something is called, None where Python does not know."""
    try:
        return str(inspect.signature(thing))
    except (TypeError, ValueError):
        return None


def outcome(call: Callable[[], Any]) -> list[str]:
    """Return what a call returns or raises."""
    try:
        return ["returned", repr(call())]
    except Exception as error:
        return [type(error).__name__, str(error)]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_real_sdk_is_served_whole_to_a_client_without_it(sdk: Any, seen: dict[str, Any]) -> None:
    own = {
        name: getattr(sdk, name)
        for name in dir(sdk)
        if not name.startswith("_") and not isinstance(getattr(sdk, name), ModuleType) and name != PLUMBING
    }
    assert seen["blocked"]
    assert seen["public"] == sorted(own)
    assert seen["doc"] == sdk.__doc__
    assert seen["constants"] == {name: value for name, value in own.items() if type(value) in (int, str)}
    enums = {
        name: each for name, each in own.items() if inspect.isclass(each) and issubclass(each, enum.Enum)
    }
    assert seen["enums"] == {
        name: [
            each.__mro__[1].__name__,
            {member: repr(value) for member, value in each.__members__.items()},
            each.__doc__,
        ]
        for name, each in enums.items()
    }
    called = {name: each for name, each in own.items() if callable(each) and name not in enums}
    assert seen["callables"] == {name: [each.__doc__, signature(each)] for name, each in called.items()}
    assert seen["calls"] == {
        "getVersion()": outcome(sdk.getVersion),
        "scanTimeTagger()": outcome(sdk.scanTimeTagger),
        "createTimeTagger()": outcome(sdk.createTimeTagger),
        "createTimeTagger(resolution=HighResA)": outcome(
            lambda: sdk.createTimeTagger("0000000000", sdk.Resolution.HighResA)
        ),
        "Counter(1, 2)": outcome(lambda: sdk.Counter(1, 2)),
        "createTimeTagger(1, 2, 3, 4)": outcome(lambda: sdk.createTimeTagger(1, 2, 3, 4)),
        "getVersion(1)": outcome(lambda: sdk.getVersion(1)),
    }


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_real_sdk_is_shown_to_the_stock_client(sdk: Any, server: Server) -> None:
    client = pytest.importorskip("TimeTaggerRPC.client", reason="TimeTaggerRPC is not installed")
    with Gateway(server.name, host="127.0.0.1", port=0) as gateway:
        with client.createProxy("127.0.0.1", gateway.port) as library:
            assert repr(library.Resolution.HighResB) == repr(sdk.Resolution.HighResB)
            assert library.CHANNEL_UNUSED == sdk.CHANNEL_UNUSED
            assert outcome(library.getVersion) == outcome(sdk.getVersion)
            assert outcome(library.scanTimeTagger) == outcome(sdk.scanTimeTagger)
            assert outcome(library.createTimeTagger) == outcome(sdk.createTimeTagger)
            assert outcome(lambda: library.Counter(1, 2)) == outcome(lambda: sdk.Counter(1, 2))
