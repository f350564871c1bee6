"""The directory: the per-user folder in which every running server keeps one record file.

A server holds an exclusive lock on its record from before it listens until it is gone. The system
releases that lock however the process ends, so a record is live exactly while it is locked: no process id that was
given to somebody else, no socket that merely looks alive, can be taken for a server. Whoever finds
a record without a lock removes it. Files that are no records are left alone.

The folder is ``$INSTRUMENTSERVER_DIR`` where that is set, else one for the user in the system's
folder for temporary files. The run-time folder of the login session would not do: it goes away at
log-out, while servers of an unattended measurement go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import platformdirs

from instrumentserver.errors import UsageError

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl

__all__ = ["Claim", "Directory", "NameTaken", "Record"]

_TOKEN_SIZE: Final = 32
_CLAIM_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 0.002


class NameTaken(UsageError):
    """A server of that name runs already."""


@dataclass(frozen=True)
class Record:
    """What a server says of itself in the directory.

    Attributes:
        name: Its name.
        address: Where it listens, ``unix:NAME`` or ``tcp://127.0.0.1:PORT``.
        pid: Its process.
        started: When, ISO 8601 with time zone.
        log: Path of its log file.
        addresses: Where it listens on networks.
    """

    name: str
    address: str
    pid: int
    started: str
    log: str
    addresses: tuple[str, ...] = ()


class Claim:
    """A server's right to a name, held from before it listens until `release` or its death."""

    def __init__(self, directory: Directory, name: str, handle: int) -> None:
        self._directory = directory
        self._name = name
        self._handle = handle
        if hasattr(os, "register_at_fork"):
            # A child that a driver forks must not keep the name alive after the server.
            os.register_at_fork(after_in_child=self._close)

    def publish(self, record: Record) -> None:
        """Write the record, after which clients find the server."""
        text = json.dumps(asdict(record)).encode()
        # In one piece, and over what was there: nobody may find the record empty when it is written anew.
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, text.ljust(os.fstat(self._handle).st_size))

    def release(self) -> None:
        """Remove the record and the socket file and give the name back; a second call does nothing."""
        if self._handle < 0:
            return
        self._directory.socket_path(self._name).unlink(missing_ok=True)
        self._directory.record_path(self._name).unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Directory:
    """The folder in which the servers of one user find one another.

    Args:
        root: The folder; it is made, with mode 0700, if it is not there.

    Raises:
        UsageError: The folder belongs to somebody else, or others can enter it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(root)

    @classmethod
    def default(cls) -> Directory:
        """Return the directory of this user, as the environment says now."""
        chosen = os.environ.get("INSTRUMENTSERVER_DIR")
        return cls(Path(chosen).expanduser().absolute() if chosen else _default_root())

    def record_path(self, name: str) -> Path:
        """Return where the record of a server of that name is kept."""
        return self.root / f"{name}.json"

    def socket_path(self, name: str) -> Path:
        """Return where the socket of a server of that name is."""
        return self.root / f"{name}.sock"

    def log_path(self, name: str) -> Path:
        """Return the log file for a server of that name; its folder is made if it is not there."""
        chosen = os.environ.get("INSTRUMENTSERVER_DIR")
        folder = (
            self.root / "log" if chosen else platformdirs.user_log_path("instrumentserver", appauthor=False)
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def token(self) -> bytes:
        """Return the token that proves a process to be this user's; made at the first call.

        Raises:
            UsageError: The token file can be read by others, or holds no token.
        """
        path = self.root / "token"
        if not path.exists():
            draft = self.root / f"token.{secrets.token_hex(8)}"
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_TOKEN_SIZE))
            # A link is made whole or not at all; the first of two processes wins.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"others can read the token {path}; run: chmod 600 {path}")
        token = path.read_bytes()
        if len(token) < _TOKEN_SIZE:
            raise UsageError(f"{path} is {len(token)} bytes long and no token; remove it")
        return token

    def claim(self, name: str) -> Claim:
        """Return the right to be the server of that name.

        Raises:
            NameTaken: Another process has it.
            UsageError: A file that is no record is where the record would be.
        """
        path = self.record_path(name)
        give_up = time.monotonic() + _CLAIM_SECONDS
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if _lock(handle, exclusive=True) and _is_file_at(handle, path):
                return self._take(handle, name)
            os.close(handle)
            # A look-up locks the record for a moment too; a server never lets go of it.
            if self.find(name) is not None or time.monotonic() > give_up:
                raise NameTaken(f"a server named {name!r} runs already; connect to it with connect({name!r})")
            time.sleep(_RETRY_SECONDS)

    def find(self, name: str) -> Record | None:
        """Return the record of the running server of that name, None if there is none.

        A dead server's record and socket are removed.
        """
        path = self.record_path(name)
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            if not _lock(handle, exclusive=False):
                return _parse(_read(handle))
            self._remove(handle, name)
            return None
        finally:
            os.close(handle)

    def records(self) -> list[Record]:
        """Return the records of all running servers, by name. Dead servers' records are removed."""
        return list(self._live())

    def _take(self, handle: int, name: str) -> Claim:
        """Return the claim on a record that we have locked, without what a dead server left in it."""
        if not _is_record(_read(handle)):
            os.close(handle)
            raise UsageError(
                f"{self.record_path(name)} is no record of a server; move it away, or set INSTRUMENTSERVER_DIR "
                f"to a folder of its own"
            )
        os.ftruncate(handle, 0)
        return Claim(self, name, handle)

    def _remove(self, handle: int, name: str) -> None:
        """Remove a dead server's record, which we have open and locked against claims, and its socket."""
        path = self.record_path(name)
        # One at a time: a second process that has seen the same dead server would remove the next one's files.
        with self._removing():
            if _is_file_at(handle, path) and _is_record(_read(handle)):
                self.socket_path(name).unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _removing(self) -> Iterator[None]:
        if sys.platform == "win32":  # pragma: no cover
            # An open file cannot be removed there: the second process fails instead.
            with contextlib.suppress(PermissionError):
                yield
            return
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _live(self) -> Iterator[Record]:
        for path in sorted(self.root.glob("*.json")):
            record = self.find(path.stem)
            if record is not None:
                yield record


def _default_root() -> Path:
    if os.name == "posix":
        return Path("/tmp") / f"instrumentserver-{os.getuid()}"
    return platformdirs.user_runtime_path("instrumentserver", appauthor=False)


def _check_private(root: Path) -> None:
    if os.name != "posix":
        return
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UsageError(f"{root} is not a folder of yours; set INSTRUMENTSERVER_DIR to one that is")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(f"others can enter {root}; run: chmod 700 {root}")


def _parse(text: bytes) -> Record | None:
    """Return the record in a file, None while its server has not written it yet."""
    try:
        values = json.loads(text)
        values = {"addresses": (), **values}
        found = {field.name: values[field.name] for field in fields(Record)}
        return Record(**{**found, "addresses": tuple(found["addresses"])})
    except (ValueError, KeyError, TypeError):
        return None


def _is_record(text: bytes) -> bool:
    """Return whether a file's text is a record, or that of a server which died before it wrote one."""
    return not text or _parse(text) is not None


def _read(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 1 << 16)


def _is_file_at(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one at ``path``, not one that was removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, *, exclusive: bool) -> bool:
    """Try to lock an open file until it is closed; return whether it worked."""
    try:
        if sys.platform == "win32":  # pragma: no cover
            # Windows locks bytes, and those cannot be read by others: take one behind the text.
            os.lseek(handle, 1 << 20, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
