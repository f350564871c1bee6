"""The log file takes everything that a process says, and is rotated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAY = """
import logging, os, sys
from pathlib import Path
from instrumentserver.server import logfile
logfile._LARGEST = 2000
logfile.open_log(Path(sys.argv[1]))
logging.getLogger("driver").info("logged")
print("printed")
print("complained", file=sys.stderr)
os.write(1, b"from a C library\\n")
assert sys.stdin.read() == ""
for number in range(40):
    logging.getLogger("driver").info("line %d of many lines that fill the file", number)
os.write(2, b"after the rotation\\n")
import ctypes
ctypes.string_at(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = subprocess.run(
        [sys.executable, "-c", SAY, str(tmp_path / "s.log")], capture_output=True, timeout=30
    )
    assert (result.stdout, result.stderr) == (b"", b"")
    return tmp_path


@pytest.mark.slow
def test_all_ways_of_saying_something_end_in_the_file_also_after_a_rotation(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["s.log", "s.log.1"]
    first = (folder / "s.log.1").read_text()
    for said in ("logged", "printed", "complained", "from a C library"):
        assert said in first
    last = (folder / "s.log").read_text()
    assert "after the rotation" in last
    assert "Segmentation fault" in last
    assert "line 39" in last
