"""The sample SDK on a server of its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from instrumentserver import Server


@pytest.fixture
def without_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process not have imported the SDK."""
    monkeypatch.delitem(sys.modules, "sdk_sample", raising=False)


@pytest.fixture
def sdk(server: Server, without_sdk: None) -> Any:
    """Return a proxy of the SDK, which is thread-safe, for a client that has not imported it."""
    return server.serve("sdk_sample", "sdk", lock="none")
