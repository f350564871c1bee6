"""Remote QCoDeS functions."""

from __future__ import annotations

from typing import Any

from qcodes.parameters import Function

from instrumentserver.schema import FunctionSchema
from instrumentserver.wire.messages import Op

from .link import Link
from .metadatable import RemoteMetadatable

__all__ = ["RemoteFunction"]


class RemoteFunction(RemoteMetadatable, Function):
    """A QCoDeS function that runs on the server.

    Args:
        link: The instrument's link.
        path: The function's path.
        schema: Its schema.
        instrument: The proxy of the module that it belongs to.
    """

    def __init__(self, link: Link, path: str, schema: FunctionSchema, instrument: Any) -> None:
        self._link = link
        self._path = path
        super().__init__(
            schema.name, instrument=instrument, call_cmd=self._call_server, args=schema.validators
        )
        self.__doc__ = schema.doc
        self._is_built = True

    def __call__(self, *args: Any) -> Any:
        """Call the function on the server, which checks the arguments, and return what it returns."""
        return self._link.call(self._path, "", args, {})

    def _set_call(self, *args: Any, **kwargs: Any) -> None:
        self._call = self  # type: ignore[assignment]

    def _call_server(self) -> None:
        """Stand for the command, which is on the server."""

    def validate(self, *args: Any) -> None:
        """Have the server check arguments.

        Raises:
            TypeError: There are too few or too many, or one is of the wrong type.
            ValueError: One is outside the limits.
        """
        self._link.request(Op.CALL, self._path, "validate", list(args), {})

    def __repr__(self) -> str:
        return f"<{Function.__module__}.{Function.__qualname__} object at {id(self):#x}>"
