"""How processes ended."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from instrumentserver.transport.exits import describe_exit, wait_for_exit, watch_exit

_pids = itertools.count(10_000_000)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that lives until its input ends."""
    made = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with made:
        yield made
        made.kill()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGTERM, "killed by SIGTERM"),
        (-11, "killed by SIGSEGV"),
        (-1000, "killed by signal 1000"),
        (None, ""),
    ],
)
def test_an_exit_is_described(code: int | None, text: str) -> None:
    pid = next(_pids)
    watch_exit(pid, lambda: code)

    assert describe_exit(pid) == text


def test_the_exit_of_another_process_s_child_is_not_known() -> None:
    assert describe_exit(next(_pids)) == ""


def test_the_latest_process_of_a_number_counts() -> None:
    pid = next(_pids)
    watch_exit(pid, lambda: 1)
    watch_exit(pid, lambda: 2)

    assert describe_exit(pid) == "exit code 2"


def test_a_process_that_lives_on_is_waited_for_no_longer_than_asked(process: subprocess.Popen[bytes]) -> None:
    assert wait_for_exit(process.pid, 0.01) is False


def test_a_process_that_ends_has_ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()

    assert wait_for_exit(process.pid, 10) is True


def test_a_process_that_is_gone_has_ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()

    assert wait_for_exit(process.pid, 0) is True


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system has no descriptors of processes")
def test_a_program_with_many_open_files_can_wait_too(process: subprocess.Popen[bytes]) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2000:
        pytest.skip("the system gives no more than 1024 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(2000, limits[0]), limits[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert wait_for_exit(process.pid, 0) is False
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
