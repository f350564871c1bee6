"""What the package promises to be there, and what its README shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import instrumentserver
from instrumentserver import Server, stop_server

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_public_names_are_there_and_few() -> None:
    assert len(instrumentserver.__all__) <= 25
    for name in instrumentserver.__all__:
        assert getattr(instrumentserver, name).__doc__


@pytest.mark.parametrize("block", BLOCKS)
def test_code_of_the_readme_is_python(block: str) -> None:
    compile(block, "README.md", "exec")


@pytest.mark.slow
def test_the_first_lines_of_the_readme_run_and_leave_instruments_that_are_found_again(tmp_path: Path) -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 12
    first = BLOCKS[0].replace("51", "5")
    for script in (first, f"{BLOCKS[1]}\nprint(dac.ch1.v())"):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "dots.db").exists()
    assert done.stdout == "0.2\n"
    for name in ("gates", "meter", "sample", "source"):
        stop_server(name)


def test_methods_of_the_server_handle_are_documented() -> None:
    for name in ("create", "status", "log", "stop", "kill"):
        assert getattr(Server, name).__doc__
