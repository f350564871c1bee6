"""Methods of remote things."""

from __future__ import annotations

import inspect
from typing import Any

from instrumentserver.schema import MethodSchema, SignatureSchema

from .link import Link

__all__ = ["RemoteMethod", "signature_of"]


class RemoteMethod:
    """A method that runs on the server.

    Args:
        link: The instrument's link.
        path: Path of the thing whose method it is.
        schema: Its schema.
        name: How it is reached from there, if not by its name.
    """

    def __init__(self, link: Link, path: str, schema: MethodSchema, name: str | None = None) -> None:
        self._link = link
        self._path = path
        self._schema = schema
        self._name = name or schema.name
        self.__name__ = schema.name
        self.__qualname__ = f"{path}.{schema.name}"
        self.__doc__ = schema.doc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method on the server and return what it returns."""
        return self._link.call(self._path, self._name, args, kwargs)

    @property
    def __signature__(self) -> inspect.Signature | None:
        described = self._schema.signature
        return None if described is None else signature_of(described)

    def __repr__(self) -> str:
        return f"<RemoteMethod {self.__name__} of {self._link.address(self._path)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteMethod, (self._link, self._path, self._schema, self._name)


class _Shown:
    """Stands for a default or an annotation that cannot travel; reads as it reads on the server."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature_of(described: SignatureSchema) -> inspect.Signature:
    """Return the signature that a schema describes; what cannot travel in it reads as on the server."""
    empty = inspect.Parameter.empty
    parameters = []
    for argument in described.arguments:
        default: Any = empty
        if argument.has_default:
            default = argument.default if argument.default_text is None else _Shown(argument.default_text)
        parameters.append(
            inspect.Parameter(
                argument.name,
                inspect._ParameterKind(argument.kind),
                default=default,
                annotation=_annotation(argument.annotation),
            )
        )
    return inspect.Signature(parameters, return_annotation=_annotation(described.returns))


def _annotation(annotation: str | list[str] | None) -> Any:
    if annotation is None:
        return inspect.Parameter.empty
    return annotation if isinstance(annotation, str) else _Shown(annotation[0])
