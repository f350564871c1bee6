"""What measurements have stored, read back in full, and how two of them differ."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from qcodes.dataset import DataSetProtocol, load_by_id

__all__ = ["differences", "read_database", "read_values", "without_circumstances"]

_TIMES: Final = frozenset(("guid", "run_timestamp", "completed_timestamp", "start_time", "end_time"))
_JSON: Final = frozenset(("snapshot", "run_description", "export_info"))
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MEMORY: Final = re.compile(r" at (0x[0-9a-f]+|\d{9,})>")
_ENUM: Final = re.compile(r"<Enum: \{(.*)\}>")


def read_database(folder: Path) -> dict[str, Any]:
    """Return every table of the database ``runs.db``, row by row, as SQLite keeps it.

    Arrays are the bytes that were stored, so their dtype counts, too. What differs between any two runs (times,
    identifiers, folders) reads alike; the traceback of a failed run is left out.

    Args:
        folder: Where the database is.
    """
    with closing(sqlite3.connect(folder / "runs.db")) as connection:
        tables = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            "schema": sorted(tables),
            **{name: list(_rows(connection, name, str(folder))) for name, _ in tables},
        }


def _rows(connection: sqlite3.Connection, table: str, folder: str) -> Iterator[dict[str, Any]]:
    cursor = connection.execute(f'SELECT * FROM "{table}"')
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield {name: _cell(name, value, folder) for name, value in zip(names, row, strict=True)}


def _cell(name: str, value: Any, folder: str) -> Any:
    if value is None or name == "measurement_exception":
        return value is None
    if name in _TIMES:
        return f"<{name}>"
    if name in _JSON:
        return without_circumstances(json.loads(_IDENTIFIER.sub("<guid>", value.replace(folder, "<folder>"))))
    return value


def without_circumstances(value: Any) -> Any:
    """Return a snapshot or the like without what differs between any two of them.

    That is: times, addresses in memory, and the order in which a set shows its members.
    """
    if isinstance(value, Mapping):
        return {
            key: "<time>" if key == "ts" and item is not None else without_circumstances(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_circumstances(item) for item in value]
    if isinstance(value, datetime):
        return "<time>"
    if isinstance(value, str):
        value = _MEMORY.sub(" at <address>>", value)
        return _ENUM.sub(lambda found: f"<Enum: {{{', '.join(sorted(found[1].split(', ')))}}}>", value)
    return value


def read_values(thing: Any) -> Any:
    """Return a result with every dataset in it replaced by what users get of it: arrays, frames, specifications."""
    if isinstance(thing, DataSetProtocol):
        return _read_dataset(thing)
    if isinstance(thing, list | tuple):
        return [read_values(item) for item in thing]
    return without_circumstances(thing)


def _read_dataset(dataset: DataSetProtocol) -> dict[str, Any]:
    loaded = load_by_id(dataset.run_id)
    return {
        "description": loaded.description._to_dict(),
        "specifications": [repr(spec) for spec in loaded.get_parameters()],
        "stored": _arrays(loaded.get_parameter_data()),
        # The dataset of the measurement itself keeps the values as they came, beside those of the file.
        "kept": _arrays(dataset.cache.data()),
        "frames": _or_why_not(lambda: _frames(dataset)),
        "xarray": _or_why_not(lambda: dataset.to_xarray_dataset().to_dict(data="list")["data_vars"]),
        "snapshot": without_circumstances(dataset.snapshot),
    }


def _frames(dataset: DataSetProtocol) -> dict[str, str]:
    frames = dataset.to_pandas_dataframe_dict()
    return {name: f"{frame.dtypes.to_dict()}\n{frame.to_string()}" for name, frame in frames.items()}


def _or_why_not(read: Callable[[], Any]) -> Any:
    """Return what ``read`` returns, or the error that it raises: QCoDeS has not every form for every run."""
    try:
        return read()
    except Exception as error:
        return repr(error)


def _arrays(data: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    return {
        tree: {name: np.asarray(array) for name, array in arrays.items()} for tree, arrays in data.items()
    }


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield where two values differ, in type, dtype, shape or content; the order of the keys of a dict is free."""
    if type(one) is not type(other):
        yield f"{where}: {type(one).__name__} {one!r:.150} is not {type(other).__name__} {other!r:.150}"
    elif isinstance(one, dict):
        if one.keys() != other.keys():
            yield f"{where}: {sorted(one.keys() - other.keys())} is not {sorted(other.keys() - one.keys())}"
        for key in one.keys() & other.keys():
            yield from differences(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            yield f"{where}: {len(one)} are not {len(other)}"
        for number, (item, its_other) in enumerate(zip(one, other, strict=False)):
            yield from differences(item, its_other, f"{where}[{number}]")
    elif isinstance(one, np.ndarray):
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            yield f"{where}: {one.dtype}{one.shape} is not {other.dtype}{other.shape}"
        elif not np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"):
            yield f"{where}: {one!r:.150} is not {other!r:.150}"
    elif one != other and not (one != one and other != other):
        yield f"{where}: {one!r:.300} is not {other!r:.300}"
