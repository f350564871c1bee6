"""Threads and pools carry the context of who started them."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHECK = """
import contextvars, threading
from concurrent.futures import ThreadPoolExecutor
from instrumentserver.server.inherit import inherit_context
inherit_context()
inherit_context()
var = contextvars.ContextVar("var", default="nobody")
seen = []
class Own(threading.Thread):
    def run(self):
        seen.append(var.get())
with ThreadPoolExecutor(1) as pool:
    pool.submit(lambda: None).result()
    for who in ("one", "two"):
        var.set(who)
        thread = threading.Thread(target=lambda: seen.append(var.get()))
        thread.start(); thread.join()
        own = Own(); own.start(); own.join()
        seen.append(pool.submit(var.get).result())
assert seen == ["one"] * 3 + ["two"] * 3, seen
assert pool.submit.__name__ == "submit"
"""


@pytest.mark.slow
def test_threads_subclasses_and_pool_tasks_see_their_maker_s_context() -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True, timeout=30)
