"""Programs that know nothing of the gateway: the tutorial of caproto, its command-line tools, pyepics."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Bench, ca_environment

from instruments.random_walk import RandomWalk
from instrumentserver import start_server
from instrumentserver.gateways.epics import Gateway

PORTS: dict[str, Any] = {"ca_port": 0, "pva_port": 0, "pva_search_port": 0, "interfaces": ["127.0.0.1"]}

TUTORIAL = """
import time
from caproto.threading.client import Context
ctx = Context()
x, dt = ctx.get_pvs('random_walk:x', 'random_walk:dt')
print(dt)
print(ctx)
res = dt.read()
print(res)
bytes(res)
print(res.data)
res.header
res.buffers
print(dt.write([0.05]))
responses = []
def f(response):
    responses.append(response)
sub = x.subscribe()
token = sub.add_callback(f)
values = []
def g(response):
    values.append(response.data[0])
sub.add_callback(g)
give_up = time.monotonic() + 10
while len(values) < 5 and time.monotonic() < give_up:
    time.sleep(0.01)
print(len(responses) >= 4, len(set(values)) >= 4)
sub.remove_callback(token)
sub.clear()
x.go_idle()
print(x)
print(x.read().data.shape)
print(x)
x.log.setLevel('DEBUG')
x.circuit_manager.log.setLevel('DEBUG')
ctx.log.setLevel('DEBUG')
print(dt.read().data)
ctx.disconnect()
"""

PYEPICS = """
import threading
import epics
d = epics.PV('x:t:d', form='ctrl')
assert d.wait_for_connection(5)
assert (d.get(), d.units, d.type, d.count, d.access) == (1.5, 'V', 'ctrl_double', 1, 'read/write'), d.info
assert (d.lower_ctrl_limit, d.upper_ctrl_limit, d.precision) == (-10, 10, 6)
assert epics.caput('x:t:d', 2.5, wait=True) == 1
assert epics.caget('x:t:d') == 2.5
assert epics.caput('x:t:e', 'high', wait=True) == 1
assert epics.caget('x:t:e', as_string=True) == 'high'
assert epics.caget('x:t:w').tolist() == [1, 2, 3]
assert epics.caput('x:t:w', [4, 5, 6], wait=True) == 1
assert epics.caget('x:t:w').tolist() == [4, 5, 6]
assert epics.caget('x:t:s') == 'hello'
seen, first, enough = [], threading.Event(), threading.Event()
def take(value=None, **more):
    seen.append(value)
    first.set()
    if len(seen) == 6:
        enough.set()
i = epics.PV('x:t:i', auto_monitor=True, callback=take)
assert first.wait(5)
for number in range(10, 15):
    i.put(number, wait=True)
assert enough.wait(5), seen
assert seen == [3, 10, 11, 12, 13, 14], seen
done = threading.Event()
d.put(99, callback=lambda **more: done.set())
assert done.wait(2)
assert epics.caget('x:t:d') == 2.5
ro = epics.PV('x:t:ro')
assert ro.wait_for_connection(5)
assert not ro.write_access
print('all is well')
"""


@pytest.fixture
def run(gateway: Gateway, bench: Bench) -> Callable[..., str]:
    """Return what runs Python with arguments and returns what it prints."""
    return lambda *arguments: run_python(gateway.ca_port or 0, *arguments)


def run_python(port: int, *arguments: str) -> str:
    environment = {**os.environ, **ca_environment(port)}
    ended = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def tool(name: str) -> tuple[str, str]:
    """Return what runs one of caproto's tools."""
    return "-m", f"caproto.commandline.{name}"


@pytest.mark.slow
def test_tutorial_of_the_threading_client(new_name: Callable[[], str], tmp_path: Path) -> None:
    server = start_server(new_name(), linger=5)
    server.create(RandomWalk, "random_walk")
    with Gateway([server.name], **PORTS) as gateway:
        script = tmp_path / "tutorial.py"
        script.write_text(TUTORIAL)
        printed = run_python(gateway.ca_port or 0, str(script))
    server.stop()
    lines = printed.splitlines()
    assert lines[0].startswith("<PV name='random_walk:dt' priority=0 ")
    assert re.match(r"<Context searches_pending=\d circuits=\d pvs=2 idle=0>", lines[1])
    assert lines[2].startswith(
        "ReadNotifyResponse(data=array([3.], dtype='>f8'), data_type=<ChannelType.DOUBLE: 6>"
    )
    assert lines[3] == "[3.]"
    assert lines[4].startswith("WriteNotifyResponse(data_type=<ChannelType.DOUBLE: 6>, data_count=1")
    assert lines[5] == "True True"
    assert lines[6].endswith("(idle)>")
    assert lines[7] == "(1,)"
    assert "channel_state=States.CONNECTED" in lines[8]
    assert lines[9] == "[0.05]"


@pytest.mark.slow
def test_caproto_get_and_put(run: Callable[..., str]) -> None:
    assert run(*tool("get"), "--no-repeater", "x:t:d", "x:t:e", "x:t:s").split() == [
        *("x:t:d", "[1.5]"),
        *("x:t:e", "[low]"),
        *("x:t:s", "[hello]"),
    ]
    printed = run(*tool("put"), "--no-repeater", "x:t:d", "2.5")
    assert [line.split()[-1] for line in printed.splitlines()] == ["[1.5]", "[2.5]"]
    assert "mid" in run(*tool("put"), "--no-repeater", "x:t:e", "mid")


@pytest.mark.slow
def test_caproto_put_says_why_it_was_refused(gateway: Gateway, bench: Bench) -> None:
    ended = subprocess.run(
        [sys.executable, *tool("put"), "--no-repeater", "--notify", "x:t:d", "99"],
        env={**os.environ, **ca_environment(gateway.ca_port or 0)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "99.0 is invalid: must be between -10 and 10" in ended.stdout + ended.stderr


@pytest.mark.slow
def test_caproto_monitor(run: Callable[..., str]) -> None:
    printed = run(
        *tool("monitor"), "--no-repeater", "--maximum", "1", "--format", "{pv_name} {response.data}", "x:t:d"
    )
    assert printed.strip() == "x:t:d [1.5]"


@pytest.mark.slow
def test_pyepics(run: Callable[..., str]) -> None:
    assert "all is well" in run("-c", PYEPICS)
