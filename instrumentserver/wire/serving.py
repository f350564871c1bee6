"""What is to be served, on its way to a server of the same user: a module or class by name, an object by value."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from instrumentserver.errors import UsageError

from .codec import Codec
from .shipping import (
    ShippedCode,
    dump_class,
    dump_code,
    extend_path,
    is_importable,
    load_class,
    load_code,
    search_path,
)
from .values import shown

__all__ = ["digest_of", "dump_function", "dump_thing", "load_function", "load_thing"]

_LONGEST: Final = 200


def dump_thing(thing: Any) -> dict[str, Any]:
    """Return plain values from which a server of the same user gets something to serve.

    Args:
        thing: An import path, ``package.module`` or ``package.module:Name``; a module; a class; or any object
            that can be pickled.

    Raises:
        NotPortable: Something that it uses cannot be pickled; the message names it.
    """
    if isinstance(thing, str):
        return {"import": thing, "sys_path": search_path(), "shown": thing}
    if isinstance(thing, ModuleType) and is_importable(thing):
        return {"import": thing.__name__, "sys_path": search_path(), "shown": f"module {thing.__name__}"}
    if isinstance(thing, type):
        return {"class": dump_class(thing), "shown": f"class {thing.__module__}.{thing.__qualname__}"}
    return {"value": dump_code(thing).plain, "shown": shown(thing, _LONGEST)}


def load_thing(shipped: dict[str, Any]) -> Any:
    """Return what `dump_thing` was given: a module or class itself, an object as a copy.

    Raises:
        ImportError: Its module cannot be imported here.
        UsageError: The import path leads nowhere.
    """
    if "import" in shipped:
        extend_path(shipped["sys_path"])
        return find_import(shipped["import"])
    if "class" in shipped:
        return load_class(shipped["class"])
    return load_code(ShippedCode(*shipped["value"]))


def dump_function(function: Callable[..., Any] | str | None) -> Any:
    """Return plain values for a function, or for the import path of one; None for None."""
    if function is None:
        return None
    return dump_thing(function) if isinstance(function, str) else {"value": dump_code(function).plain}


def load_function(shipped: Any) -> Any:
    """Return the function that `dump_function` was given."""
    if shipped is None:
        return None
    function = load_thing(shipped)
    if not callable(function):
        raise UsageError(f"{shipped.get('shown')} is {function!r:.80}, which cannot be called")
    return function


def find_import(path: str) -> Any:
    """Return what an import path, ``package.module`` or ``package.module:Name``, leads to.

    Raises:
        ImportError: There is no such module, or it cannot be imported.
        UsageError: The module has nothing of that name.
    """
    module_name, _, name = path.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in name.split(".") if name else ():
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"{path!r} leads nowhere: {module_name} has no {name!r}") from None
    return found


def digest_of(shipped: dict[str, Any], options: dict[str, Any], codec: Codec) -> str:
    """Return by what serving the same thing again is known."""
    what = {key: value for key, value in shipped.items() if key != "sys_path"}
    if "class" in what:
        what["class"] = {key: value for key, value in what["class"].items() if key != "sys_path"}
    message, buffers = codec.encode([what, options])
    digest = hashlib.sha256(message)
    for buffer in buffers:
        digest.update(buffer)
    return digest.hexdigest()
