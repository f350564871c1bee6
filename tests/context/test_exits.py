"""Processes that end, or fork, without a word to their Context."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from context.lab import PATIENCE, Lab, Responses

from instrumentserver import Server
from instrumentserver.context import Context, ContextDisconnectedError
from instrumentserver.transport.exits import wait_for_exit

pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys
from instrumentserver.context import Batch, Context

def print_it(sub, response):
    pass

context = Context(timeout=20.0)
x, n, nothing = context.get_pvs("lab:x", "lab:n", "nobody:x")
{body}
"""


def run(body: str, folder: Path) -> tuple[int, str, str]:
    """Run a script and return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(body=body)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "x.read()",
        "x.subscribe().add_callback(print_it); n.write(1)",
        "x.subscribe().add_callback(print_it); x.wait_for_connection()",
        "x.wait_for_connection(); [x.read(wait=False) for _ in range(100)]",
        "x.wait_for_connection()\nwith Batch() as batch: batch.read(x, print)\nx.read()",
        "context.get_pvs('lab:x', connection_state_callback=lambda pv, state: None)",
        "x.go_idle(); x.wait_for_connection(); x.go_idle()",
        "context.disconnect()",
        "sub = x.subscribe(); sub.add_callback(print_it); x.wait_for_connection(); del context, x, sub",
    ],
)
def test_a_process_ends_by_itself_without_noise(server: Server, lab: Lab, tmp_path: Path, body: str) -> None:
    code, _, errors = run(body, tmp_path)
    assert (code, errors) == (0, "")


def test_a_process_ends_without_noise_when_its_server_goes_at_the_same_time(
    server: Server, lab: Lab, tmp_path: Path
) -> None:
    body = f"import signal\nx.subscribe().add_callback(print_it)\nx.read()\nos.kill({server.pid}, signal.SIGKILL)"
    code, _, errors = run(body, tmp_path)
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    ("before", "is_open"),
    [("", False), ("from instrumentserver import find_instrument; lab = find_instrument('lab')", True)],
)
def test_a_resting_pv_leaves_a_connection_to_proxies_only(
    server: Server, lab: Lab, tmp_path: Path, before: str, is_open: bool
) -> None:
    look = f"from instrumentserver.client.registry import open_session; print(open_session('{server.address}').is_open)"
    code, printed, errors = run(f"{before}\nx.read()\nn.read()\nx.go_idle()\nn.go_idle()\n{look}", tmp_path)
    assert (code, printed, errors) == (0, f"{is_open}\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_cannot_use_its_parents_context_but_one_of_its_own(
    context: Context, server: Server, lab: Lab, responses: Responses
) -> None:
    (x,) = context.get_pvs("lab:x")
    x.subscribe().add_callback(responses.update)
    responses.wait_for_number(1)
    child = os.fork()
    if not child:
        code = 1
        try:
            try:
                x.read()
            except ContextDisconnectedError as error:
                code = 2 if "was made before this process was forked" in str(error) else 3
            own = Context(timeout=PATIENCE)
            (mine,) = own.get_pvs("lab:x")
            if code == 2 and mine.read() is not None:
                code = 0
        finally:
            os._exit(code)
    assert wait_for_exit(child, PATIENCE)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    x.write(2)
    responses.wait_for_value(2.0)
