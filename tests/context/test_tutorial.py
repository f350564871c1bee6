"""The tutorial of the original client, cell by cell, with our Context and an instrument of ours."""

from __future__ import annotations

import ctypes
import logging
from typing import Any

import numpy as np
import pytest
from context.lab import PATIENCE, Responses

from instruments import RandomWalk
from instrumentserver import Server
from instrumentserver.context import Context

pytestmark = pytest.mark.slow


def test_the_tutorial_runs_cell_by_cell(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.create(RandomWalk, "random_walk", dt=0.05)
    ctx = Context()

    # Connect
    x, dt = ctx.get_pvs("random_walk:x", "random_walk:dt")
    assert repr(dt).startswith("<PV name='random_walk:dt' priority=0 ")
    assert repr(ctx).startswith("<Context searches_pending=")
    dt.wait_for_connection(timeout=PATIENCE)
    assert f"address='{server.address}'" in repr(dt)

    # Read and write
    res = dt.read()
    assert res is not None
    assert "data=array([0.05])" in repr(res)
    assert isinstance(bytes(res), bytes)
    assert isinstance(res.data, np.ndarray)
    assert res.data.tolist() == [0.05]
    assert isinstance(res.header, ctypes.BigEndianStructure)
    assert len(res.buffers) > 0
    dt.write([1])
    assert dt.read().data[0] == 1.0  # type: ignore[union-attr]
    dt.write([0.01])

    # Subscribe
    responses: list[Any] = []
    enough = Responses()

    def f(response: Any) -> None:
        responses.append(response)

    sub = x.subscribe()
    with pytest.warns(UserWarning, match="takes the response only"):
        token = sub.add_callback(f)
    values: list[Any] = []

    def g(response: Any) -> None:
        values.append(response.data[0])
        enough.take(response)

    with pytest.warns(UserWarning, match="takes the response only"):
        sub.add_callback(g)
    enough.wait_for_number(5)
    assert len(responses) >= 4
    assert len(set(values)) >= 4
    sub.remove_callback(token)
    seen = len(responses)
    enough.wait_for_number(len(enough.items) + 3)
    assert len(responses) == seen
    sub.clear()
    sub.add_callback(lambda sub, response: responses.append(response))

    # Go idle
    assert "CONNECTED" in repr(x)
    x.go_idle()
    assert repr(x) == "<PV name='random_walk:x' priority=0 (idle)>"
    x.read()
    assert "CONNECTED" in repr(x)
    assert len(responses) == seen

    # Loggers for debugging
    x.log.setLevel("DEBUG")
    assert x.circuit_manager is not None
    x.circuit_manager.log.setLevel("DEBUG")
    x.context.log.setLevel("DEBUG")
    ctx.log.setLevel("NOTSET")
    x.read()
    assert {record.name for record in caplog.records} >= {"instrumentserver.ch", "instrumentserver.circ"}
    assert logging.getLogger("instrumentserver").level == logging.NOTSET
    ctx.disconnect()
