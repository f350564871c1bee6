"""A Context and a server with a `Lab` for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from context.lab import Lab, Responses

from instrumentserver import Server
from instrumentserver.context import Context


@pytest.fixture
def context() -> Iterator[Context]:
    """Return a Context of the test's own, disconnected at its end."""
    with Context(timeout=20.0) as context:
        yield context


@pytest.fixture
def lab(server: Server) -> Lab:
    """Return the proxy of an instrument named lab."""
    return server.create(Lab, "lab")


@pytest.fixture
def responses() -> Responses:
    """Return what collects responses; it has to be kept, since subscriptions hold callbacks weakly."""
    return Responses()
