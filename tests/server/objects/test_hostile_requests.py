"""Requests about objects that no client of ours makes: each is an error to its sender, and nothing to anybody else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from holding import Scripts, held, until

from instrumentserver import InstrumentServerError, Server, start_server
from instrumentserver.wire.messages import Op

OPERATIONS = [value for name, value in vars(Op).items() if name.startswith("OBJECT_")]
STRANGE: list[Any] = [
    *(
        None,
        True,
        -1,
        1 << 62,
        2.5,
        "",
        "x" * 10_000,
        "@",
        "@Thing-abcdef-1",
        "@-",
        "a.b.c",
        "sdk.",
        ".Device",
    ),
    *("sdk.__init__", "sdk.os.system", "__class__", [], {}, [[]], [["sdk"]], [["sdk", "x"]], [[["sdk"], 1]]),
    *({"a": 1}, b"\0", (1,), {1}, [None] * 100),
]


@pytest.fixture(scope="module")
def home(own_directory: str) -> Iterator[Server]:
    """Yield the server of this module."""
    server = start_server("strange")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def no_server_left() -> None:
    """Leave the server of the module to go on."""


@pytest.fixture(scope="module")
def sdk(home: Server) -> Any:
    """Return the proxy of the sample SDK."""
    return home.serve("sdk_sample", "sdk", lock="none")


def refused(server: Server, request: list[Any]) -> bool:
    """Return whether a request is answered with an error."""
    try:
        server._session.request(request)
    except InstrumentServerError:
        return True
    except (TypeError, ValueError, AttributeError, LookupError):
        return True
    return False


@pytest.mark.parametrize(
    "request_",
    [
        [Op.OBJECT_CALL, "nothing", "x", [], {}],
        [Op.OBJECT_CALL, "sdk", "_hidden", [], {}],
        [Op.OBJECT_CALL, "sdk", "__init__", [], {}],
        [Op.OBJECT_CALL, "sdk", "os", [], {}],
        [Op.OBJECT_CALL, "sdk", "shell", ["true"], {}],
        [Op.OBJECT_CALL, "sdk", "Device.scan", [], {}],
        [Op.OBJECT_CALL, "sdk", "createDevice", [], {1: 2}],
        [Op.OBJECT_CALL, "sdk.os", "system", ["true"], {}],
        [Op.OBJECT_GET, "sdk", "__dict__"],
        [Op.OBJECT_GET, "sdk", "run"],
        [Op.OBJECT_SET, "sdk", "settings", 1],
        [Op.OBJECT_DELETE, "sdk", "settings"],
        [Op.OBJECT_CLASS, "", 5],
        [Op.OBJECT_CLASS, "", [1]],
        [Op.OBJECT_FIND, ""],
        [Op.OBJECT_FREE, "sdk", True],
        [Op.OBJECT_FREE, "sdk.Device", True],
        [Op.UNSERVE, "nothing"],
        [Op.UNSERVE, "sdk.Device"],
        [Op.SERVE, "x", {}, {}],
        [Op.SERVE, "x", None, None],
    ],
    ids=lambda request: " ".join(map(str, request)) if isinstance(request, list) else None,
)
def test_what_nobody_may_ask_for_is_refused(home: Server, sdk: Any, request_: list[Any]) -> None:
    assert refused(home, request_)
    assert sdk.createDevice("S1").getSerial() == "S1"
    assert list(home.objects) == ["sdk"]


def test_two_thousand_strange_requests_leave_the_objects_alone(home: Server, sdk: Any) -> None:
    device = sdk.createDevice("S1")
    chance = random.Random(7)
    until(lambda: len(held(home)) == 1)
    before = held(home)

    for _ in range(2000):
        parts = [chance.choice(STRANGE) for _ in range(chance.randrange(5))]
        refused(home, [chance.choice(OPERATIONS), *parts])

    assert device.getSerial() == "S1"
    assert held(home) == before
    assert list(home.objects) == ["sdk"]


@pytest.mark.slow
def test_nobody_lets_go_of_what_others_have(home: Server, sdk: Any) -> None:
    device = sdk.createDevice("S1")
    path = device.uri.partition("/")[2]
    script = """
    sdk = Proxy(sys.argv[1])
    sdk._session.request(["object_release", "", [[sys.argv[2], list(range(10_000))]]])
    sdk._session.request(["object_release", "", [[sys.argv[2], list(range(10_000))]], True])
    print("done", flush=True)
    """
    with Scripts() as scripts:
        assert scripts.ask(scripts.run(script, sdk.uri, path)) == "done"

    assert held(home)[path] == 1
    assert device.getSerial() == "S1"
