"""Connections of Pyro's clients: one thread for each, as many as the system has."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

__all__ = ["Connections"]


class Connections:
    """Takes the place of Pyro's pool of threads, which refuses the 81st connection: that is one for each live proxy."""

    def __init__(self) -> None:
        self._jobs: set[Any] = set()
        self._guard = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._jobs)

    def process(self, job: Any) -> None:
        """Serve a connection until it ends, in a thread of its own; does not block."""
        with self._guard:
            if self._is_closed:
                job.csock.close()
                return
            self._jobs.add(job)
        threading.Thread(target=self._run, args=(job,), name="pyro connection", daemon=True).start()

    def num_workers(self) -> int:
        """Return how many threads there are."""
        return len(self)

    def close(self) -> None:
        """End every connection; new ones end at once."""
        with self._guard:
            self._is_closed = True
            jobs = list(self._jobs)
        for job in jobs:
            with contextlib.suppress(OSError):
                job.csock.close()

    def _run(self, job: Any) -> None:
        try:
            job()
        finally:
            with self._guard:
                self._jobs.discard(job)
