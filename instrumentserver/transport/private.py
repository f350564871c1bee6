"""The user's private folder: what proves him to be himself on a network, and the servers to be his.

It is kept where the system keeps a user's settings, unlike the directory of running servers: certificates and tokens
are to be the same after the computer was started anew. Where ``$INSTRUMENTSERVER_DIR`` is set, it is below that folder.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import platformdirs

from instrumentserver.errors import UsageError

__all__ = ["private_folder", "read_private", "write_private"]


def private_folder() -> Path:
    """Return the folder, as the environment says now; made, with mode 0700, if it is not there."""
    chosen = os.environ.get("INSTRUMENTSERVER_DIR")
    folder = (
        Path(chosen).expanduser().absolute() / "network"
        if chosen
        else platformdirs.user_config_path("instrumentserver", appauthor=False)
    )
    return make_private(folder)


def make_private(folder: Path) -> Path:
    """Return a folder, made with mode 0700 if it is not there.

    Raises:
        UsageError: It belongs to somebody else, or others can change what is in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise UsageError(f"{folder} is not a folder of yours; set INSTRUMENTSERVER_DIR to one that is")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise UsageError(f"others can enter {folder}; run: chmod 700 {folder}")
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only the user can read; readers see the whole of it, or what was there before."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_private(path: Path) -> bytes:
    """Return what is in a file that only the user can read, b"" if it is not there.

    Raises:
        UsageError: Others can read it.
    """
    try:
        with open(path, "rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsageError(f"others can read {path}; run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return b""
