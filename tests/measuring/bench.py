"""One measurement, carried out twice: over instruments of this process, then over the same on servers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qcodes.dataset import initialise_or_create_database_at, load_or_create_experiment
from qcodes.instrument import Instrument
from qcodes.station import Station

from instrumentserver import start_server

from .stored import differences, read_database, read_values

__all__ = ["Alike", "Bench"]


class Bench:
    """A folder, a database in it, and instruments.

    Args:
        folder: Made here; the database is ``runs.db`` in it.
        is_remote: Whether the instruments live on servers.
    """

    def __init__(self, folder: Path, *, is_remote: bool) -> None:
        self.folder = folder
        self.is_remote = is_remote
        self._made: list[Instrument] = []
        folder.mkdir()
        initialise_or_create_database_at(folder / "runs.db")
        load_or_create_experiment("compared", "sample")

    def make(self, cls: type, name: str, *args: Any, server: str = "one", **kwargs: Any) -> Any:
        """Return a new instrument, local or remote.

        Args:
            cls: The driver.
            name: Name of the instrument, the same locally and remotely, for it is stored.
            args: What the constructor gets after the name.
            server: Where it lives if it is remote.
            kwargs: What the constructor gets by keyword.
        """
        make = start_server(server, linger=5).create if self.is_remote else _make_here
        self._made.append(make(cls, name, *args, **kwargs))
        return self._made[-1]

    def close(self) -> None:
        """Close the instruments, so that their names are free again."""
        for instrument in reversed(self._made):
            instrument.close()
        Station.default = None


def _make_here(cls: type, name: str, *args: Any, **kwargs: Any) -> Any:
    return cls(name, *args, **kwargs)


class Alike:
    """Carries out measurements locally and remotely and holds what they stored against each other.

    Args:
        folder: Where the databases go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, measure: Callable[[Bench], Any], *, stores: bool = True) -> Any:
        """Return what ``measure`` returned locally, after checking that nothing differs remotely.

        Compared are the result, in which datasets stand for all that can be read of them, and the database.

        Args:
            measure: Gets a bench, makes its instruments with it, measures.
            stores: Whether something must have been stored.
        """
        local, remote = (self._carry_out(measure, is_remote=is_remote) for is_remote in (False, True))
        different = list(differences(local, remote))
        assert not different, "\n".join(different)
        tables = local["database"]
        assert stores == any(tables[name] for name in tables if name.startswith("results"))
        return local["result"]

    def _carry_out(self, measure: Callable[[Bench], Any], *, is_remote: bool) -> dict[str, Any]:
        bench = Bench(self._folder / ("remote" if is_remote else "local"), is_remote=is_remote)
        try:
            result = read_values(measure(bench))
        finally:
            bench.close()
        return {"result": result, "database": read_database(bench.folder)}
