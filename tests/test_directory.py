"""The directory: who runs where."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import instrumentserver
from instrumentserver import directory as directory_module
from instrumentserver.directory import Claim, Directory, NameTaken, Record
from instrumentserver.errors import UsageError

HOLD = """
import os, sys, types
from pathlib import Path
# The directory alone: all of the package takes a second to import.
package = sys.modules["instrumentserver"] = types.ModuleType("instrumentserver")
package.__path__ = [sys.argv[2]]
from instrumentserver.directory import Directory, NameTaken, Record
directory = Directory(Path(sys.argv[1]))
sys.stdin.readline()
try:
    claim = directory.claim("foo")
except NameTaken:
    print("taken", flush=True)
else:
    claim.publish(Record("foo", "unix:foo", os.getpid(), "now", "log"))
    print("claimed", flush=True)
    sys.stdin.readline()
    claim.release()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "d")


@pytest.fixture
def holders(directory: Directory) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(directory.root), *instrumentserver.__path__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def record(name: str = "foo") -> Record:
    return Record(name, f"unix:{name}", os.getpid(), "now", "log")


@pytest.mark.slow
def test_of_many_processes_one_gets_the_name_and_a_dead_one_loses_it(
    directory: Directory, holders: list[subprocess.Popen[str]]
) -> None:
    for process in holders:
        go(process)
    said = [process.stdout.readline().strip() for process in holders if process.stdout is not None]
    assert sorted(said) == ["claimed"] + ["taken"] * 5
    holder = holders[said.index("claimed")]
    found = directory.find("foo")
    assert found is not None
    assert found.pid == holder.pid
    holder.kill()
    holder.wait()
    assert directory.record_path("foo").exists()
    directory.socket_path("foo").touch()
    assert directory.find("foo") is None
    assert not directory.record_path("foo").exists()
    assert not directory.socket_path("foo").exists()


def test_a_claimed_name_is_taken_until_it_is_released(directory: Directory) -> None:
    claim = directory.claim("foo")
    claim.publish(record())
    with pytest.raises(NameTaken, match=r"connect\('foo'\)"):
        directory.claim("foo")
    assert directory.find("foo") == record()
    claim.release()
    claim.release()
    assert directory.find("foo") is None
    directory.claim("foo").release()


def test_records_lists_the_living_only(directory: Directory) -> None:
    claims = [directory.claim(name) for name in ("b", "a")]
    for claim, name in zip(claims, ("b", "a"), strict=True):
        claim.publish(record(name))
    directory.claim("unwritten")
    directory.record_path("dead").write_text("")
    assert [found.name for found in directory.records()] == ["a", "b"]
    assert not directory.record_path("dead").exists()


def test_folder_and_token_are_for_the_user_alone(directory: Directory) -> None:
    token = directory.token()
    assert (len(token), token) == (32, directory.token())
    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory.root / "token").stat().st_mode) == 0o600
    assert Directory(directory.root).token() == token


def test_a_token_or_folder_that_others_can_read_is_refused(directory: Directory) -> None:
    directory.token()
    (directory.root / "token").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        directory.token()
    directory.root.chmod(0o750)
    with pytest.raises(UsageError, match="chmod 700"):
        Directory(directory.root)


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="not a folder of yours"):
        Directory(tmp_path / "link")


def test_the_environment_chooses_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTRUMENTSERVER_DIR", str(tmp_path / "chosen"))
    assert Directory.default().root == tmp_path / "chosen"
    assert Directory.default().log_path("foo") == tmp_path / "chosen" / "log" / "foo.log"


def die(claim: Claim) -> None:
    """End a server as SIGKILL does: the system lets go of the lock, and all files stay."""
    claim._close()


def dead(directory: Directory, name: str = "foo") -> None:
    """Leave what a killed server leaves."""
    claim = directory.claim(name)
    claim.publish(record(name))
    directory.socket_path(name).touch()
    die(claim)


def test_a_dead_servers_name_can_be_claimed(directory: Directory) -> None:
    dead(directory)

    claim = directory.claim("foo")
    claim.publish(record())

    assert directory.find("foo") == record()
    claim.release()


def test_a_new_server_is_not_found_under_the_dead_ones_record(directory: Directory) -> None:
    dead(directory)

    claim = directory.claim("foo")

    assert directory.find("foo") is None
    claim.release()


def test_a_server_that_died_before_it_wrote_its_record_is_removed(directory: Directory) -> None:
    die(directory.claim("foo"))

    assert directory.find("foo") is None
    assert not directory.record_path("foo").exists()


def test_a_shorter_record_replaces_a_longer_one(directory: Directory) -> None:
    claim = directory.claim("foo")
    claim.publish(Record("foo", "unix:foo", 1, "now", "a long path" * 100))

    claim.publish(record())

    assert directory.find("foo") == record()
    claim.release()


@pytest.mark.parametrize("text", ["{}", "[1, 2]", "5", '{"name": "foo"}', "words", "\0"])
def test_a_file_that_is_no_record_is_left_alone(directory: Directory, text: str) -> None:
    path = directory.record_path("settings")
    path.write_text(text)

    assert directory.records() == []
    assert path.read_text() == text


def test_a_file_that_is_no_record_is_not_claimed(directory: Directory) -> None:
    path = directory.record_path("settings")
    path.write_text("{}")

    with pytest.raises(UsageError, match="no record of a server; move it away"):
        directory.claim("settings")
    assert path.read_text() == "{}"


def test_a_record_with_more_than_we_know_is_read(directory: Directory) -> None:
    claim = directory.claim("foo")
    directory.record_path("foo").write_text(json.dumps({**vars(record()), "color": "green"}))

    assert directory.find("foo") == record()
    claim.release()


def test_names_with_dots_are_listed(directory: Directory) -> None:
    claim = directory.claim("a.b-1")
    claim.publish(record("a.b-1"))

    assert [found.name for found in directory.records()] == ["a.b-1"]
    claim.release()


def test_a_released_name_leaves_nothing_behind(directory: Directory) -> None:
    claim = directory.claim("foo")
    claim.publish(record())
    directory.socket_path("foo").touch()

    claim.release()

    assert list(directory.root.iterdir()) == []


def test_a_second_release_does_not_hurt_the_next_server(directory: Directory) -> None:
    first = directory.claim("foo")
    first.release()
    second = directory.claim("foo")
    second.publish(record())

    first.release()

    assert directory.find("foo") == record()
    second.release()


def test_somebody_who_looks_does_not_keep_a_server_from_its_name(directory: Directory) -> None:
    dead(directory)
    looking = os.open(directory.record_path("foo"), os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    claims: list[Claim] = []
    claiming = threading.Thread(target=lambda: claims.append(directory.claim("foo")))

    claiming.start()
    os.close(looking)
    claiming.join(5)

    assert len(claims) == 1
    claims[0].release()


def test_look_ups_at_the_same_time_do_not_remove_the_next_servers_files(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(directory)
    is_about_to_remove, may_remove, is_next_up = threading.Event(), threading.Event(), threading.Event()
    claims: list[Claim] = []
    is_file_at = directory_module._is_file_at

    def pausing(handle: int, path: Path) -> bool:
        answer = is_file_at(handle, path)
        if threading.current_thread() is slow:
            is_about_to_remove.set()
            may_remove.wait(5)
        return answer

    def look_and_start() -> None:
        directory.find("foo")
        claims.append(directory.claim("foo"))
        claims[0].publish(record())
        directory.socket_path("foo").touch()
        is_next_up.set()

    # A lock belongs to an open file: to each other, threads are what processes are.
    slow, other = (
        threading.Thread(target=directory.find, args=("foo",)),
        threading.Thread(target=look_and_start),
    )
    monkeypatch.setattr(directory_module, "_is_file_at", pausing)
    slow.start()
    is_about_to_remove.wait(5)
    other.start()
    # Whether it waits for the slow one or not, it must be there in the end.
    is_next_up.wait(0.05)
    may_remove.set()
    slow.join(5)
    other.join(5)

    assert directory.find("foo") == record()
    assert directory.socket_path("foo").exists()
    claims[0].release()


def test_threads_make_one_token(directory: Directory) -> None:
    start = threading.Barrier(8)

    def token(_: int) -> bytes:
        start.wait(5)
        return directory.token()

    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(token, range(8)))

    assert len(tokens) == 1
    assert [path.name for path in directory.root.iterdir()] == ["token"]


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_token_that_anybody_could_guess_is_refused(directory: Directory, content: bytes) -> None:
    path = directory.root / "token"
    path.touch(mode=0o600)
    path.write_bytes(content)

    with pytest.raises(UsageError, match="no token; remove it"):
        directory.token()


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "a" / "b")

    assert stat.S_IMODE(directory.root.stat().st_mode) == 0o700


def test_records_are_for_the_user_alone(directory: Directory) -> None:
    claim = directory.claim("foo")

    assert stat.S_IMODE(directory.record_path("foo").stat().st_mode) == 0o600
    claim.release()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises((UsageError, FileExistsError)):
        Directory(tmp_path / "file")
