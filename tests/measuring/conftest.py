"""Comparison of local and remote measurements, for every test here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from measuring.bench import Alike, Bench


@pytest.fixture
def alike(tmp_path: Path) -> Alike:
    """Return what carries out a measurement twice and compares what was stored."""
    return Alike(tmp_path)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Yield a bench of remote instruments, with a database open."""
    bench = Bench(tmp_path / "bench", is_remote=True)
    yield bench
    bench.close()
