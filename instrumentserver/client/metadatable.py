"""What every remote part of an instrument shares with its original: snapshot, metadata, identity."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from qcodes.metadatable import Metadatable

from instrumentserver.wire.messages import Op

from .link import Link

__all__ = ["RemoteMetadatable"]

_UPDATE: Final = inspect.signature(Metadatable.snapshot).parameters["update"].default
"""What this version of QCoDeS means by a snapshot without further words."""


class RemoteMetadatable(Metadatable):
    """Snapshot and metadata of something on a server; copies are the thing itself, as there is one proxy for it."""

    _is_built = False
    _link: Link
    _path: str

    def snapshot(self, update: Any = _UPDATE) -> dict[str, Any]:  # type: ignore[override,misc]
        """Return the server's snapshot of this and everything below, one message."""
        return dict(self._link.request(Op.SNAPSHOT, self._path, update))

    def snapshot_base(
        self, update: Any = _UPDATE, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """Return the server's snapshot; what its driver skips is the driver's affair."""
        return self.snapshot(update)

    def load_metadata(self, metadata: Mapping[Any, Any]) -> None:
        """Load metadata into the server's object."""
        if self._is_built:
            self._link.request(Op.CALL, self._path, "load_metadata", [dict(metadata)], {})

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
