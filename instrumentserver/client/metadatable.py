"""What every remote part of an instrument shares with its original: snapshot, metadata, identity."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from qcodes.metadatable import Metadatable

from instrumentserver.wire.messages import Op

from .link import Link
from .live import LiveDict

__all__ = ["DEFAULT_UPDATE", "RemoteMetadatable"]

DEFAULT_UPDATE: Final = inspect.signature(Metadatable.snapshot).parameters["update"].default
"""What this version of QCoDeS means by a snapshot without further words."""


class RemoteMetadatable(Metadatable):
    """Snapshot and metadata of something on a server; copies are the thing itself, as there is one proxy for it."""

    _is_built = False
    _link: Link
    _path: str

    def snapshot(self, update: Any = DEFAULT_UPDATE) -> dict[str, Any]:  # type: ignore[override,misc]
        """Return the server's snapshot of this and everything below, one message."""
        return dict(self._link.request(Op.SNAPSHOT, self._path, update))

    def snapshot_base(
        self, update: Any = NotImplemented, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """Return the server's snapshot without the metadata.

        Args:
            update: As QCoDeS means it; what it means to leave it out is for the driver's class to say.
            params_to_skip_update: Names of parameters that are not read from the hardware, whatever ``update`` says;
                None for what the driver says itself.
        """
        arguments: dict[str, Any] = {}
        if update is not NotImplemented:
            arguments["update"] = update
        if params_to_skip_update is not None:
            arguments["params_to_skip_update"] = list(params_to_skip_update)
        return dict(self._link.request(Op.SNAPSHOT, self._path, None, arguments))

    @property
    def metadata(self) -> dict[str, Any]:  # type: ignore[override]
        """The metadata of the server's object; what is changed in it, is changed there."""
        if not self._is_built:
            return vars(self).setdefault("_built_metadata", {})  # type: ignore[no-any-return]
        found = self._link.request(Op.GET_ATTRIBUTE, self._path, "metadata")
        return LiveDict(found, self._change_metadata)

    @metadata.setter
    def metadata(self, metadata: Mapping[str, Any]) -> None:
        if self._is_built:
            self._link.request(Op.SET_ATTRIBUTE, self._path, "metadata", dict(metadata))

    def _change_metadata(self, method: str, *args: Any) -> Any:
        return self._link.request(Op.CALL, self._path, f"metadata.{method}", list(args), {})

    def load_metadata(self, metadata: Mapping[Any, Any]) -> None:
        """Load metadata into the server's object."""
        if self._is_built:
            self._link.request(Op.CALL, self._path, "load_metadata", [dict(metadata)], {})

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
