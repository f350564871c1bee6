"""What a socket's ``status`` says of the computer."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Final

if sys.platform != "win32":
    import resource

__all__ = ["system_status"]

_NO_MAC: Final = "00:00:00:00:00:00"


def system_status() -> dict[str, Any]:
    """Return what is known of this computer and process; None where something does not exist or is not known.

    Sizes are in bytes, times in seconds (those called ``unixtime`` since 1970), the temperature in degrees Celsius.
    """
    model = _text("/proc/device-tree/model")
    return {
        "last_git_fetch_unixtime": _changed(".git/FETCH_HEAD"),
        "max_python_mem_usage_bytes": _peak_memory(),
        "number_of_python_threads": threading.active_count(),
        "python_version": platform.python_version(),
        "uptime": _uptime(),
        "last_apt_cache_change_unixtime": _changed("/var/cache/apt/pkgcache.bin"),
        "load_average": _load(),
        "filesystem_usage": _filesystem(),
        "mac_address": _mac_address(),
        "rpi_model": model,
        "rpi_temperature": _temperature() if model else None,
        "sd_card_serial": _text("/sys/block/mmcblk0/device/serial"),
        "os_version": _os_version(),
        "machine_name": socket.gethostname(),
        "purpose": None,
    }


def _text(path: str | Path) -> str | None:
    """Return what a file says, without white space and NUL around it."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip(" \t\r\n\0") or None
    except OSError:
        return None


def _changed(path: str) -> float | None:
    """Return when a file was changed last."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return None


def _peak_memory() -> int | None:
    """Return the most memory that this process has had."""
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kilobytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def _uptime() -> dict[str, float] | None:
    """Return for how long the computer has run, and for how long its processors have had nothing to do."""
    words = (_text("/proc/uptime") or "").split()
    return {"uptime_sec": float(words[0]), "idle_sec": float(words[1])} if len(words) == 2 else None


def _load() -> dict[str, float] | None:
    """Return the load averages over 1, 5 and 15 minutes, dimensionless."""
    if sys.platform == "win32":
        return None
    try:
        return dict(zip(("1m", "5m", "15m"), os.getloadavg(), strict=True))
    except OSError:
        return None


def _filesystem() -> dict[str, int] | None:
    """Return how large the first file system is, and how much of it is free."""
    try:
        usage = shutil.disk_usage(Path.cwd().anchor or "/")
    except OSError:
        return None
    return {"total_bytes": usage.total, "free_bytes": usage.free}


def _mac_address() -> str | None:
    """Return the hardware address of the first network card."""
    for path in sorted(Path("/sys/class/net").glob("*/address")):
        address = _text(path)
        if address and address != _NO_MAC:
            return address
    return None


def _temperature() -> float | None:
    """Return the processor's temperature."""
    text = _text("/sys/class/thermal/thermal_zone0/temp")
    return int(text) / 1000 if text and text.lstrip("-").isdigit() else None


def _os_version() -> str:
    """Return the name of the operating system's release."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
