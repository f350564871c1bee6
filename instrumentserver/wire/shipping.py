"""How a driver class reaches a server of the same user: by its name, or by value.

A class that the server can import goes by name. A class of a notebook, of the script itself, or of any
module that cannot be imported by name goes by value, with cloudpickle: the one place where anything is pickled,
and it goes over local connections only. What the class's functions use goes along, and no more. (dill, which
`multiprocess` brings, cannot take enums, classes that name each other, or heirs of generic classes.)
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import io
import os
import pickle
import sys
import threading
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import EnumType
from types import FunctionType, ModuleType
from typing import Any, Final, NewType

import cloudpickle

from instrumentserver.errors import NotAllowed, NotPortable, UsageError

from .classes import add_known_class, class_text, find_class
from .codec import Extension
from .messages import CODE_CODE

__all__ = [
    "CODE_REFUSAL",
    "ShippedCode",
    "code_extension",
    "code_of_its_own",
    "constructor_arguments",
    "dump_class",
    "dump_code",
    "extend_path",
    "is_importable",
    "load_class",
    "load_code",
    "name_class",
    "refuse_code",
    "search_path",
    "ship_code",
    "takes_name_first",
    "unship_code",
]

_CODE_MODULES: Final = ("functools", "numpy", "operator")
"""Where functions are objects of classes of their own, such as `numpy.sin`."""
_pickling: Final = threading.Lock()
_by_value: Final[dict[str, type]] = {}
_imported_when: Final[dict[str, int]] = {}


def dump_class(cls: type) -> dict[str, Any]:
    """Return plain values from which a server of the same user gets the class.

    Raises:
        NotPortable: Something that the class uses cannot be pickled; the message names it.
    """
    module = sys.modules.get(cls.__module__)
    named = {"name": class_text(cls), "file": getattr(module, "__file__", None), "sys_path": search_path()}
    is_found = "<locals>" not in cls.__qualname__ and find_class(cls.__module__, cls.__qualname__) is cls
    if is_found and module is not None and is_importable(module):
        return named
    file = io.BytesIO()
    try:
        with _pickling, _by_value_module(cls.__module__), _without_instances(cls):
            _Pickler(file).dump(cls)
    except Exception as error:
        raise NotPortable(
            f"class {cls.__qualname__} cannot travel to a server: {type(error).__name__}: {error}; "
            f"it was defined in {cls.__module__!r}, which a server cannot import, and uses something that "
            f"cannot be pickled: put the class into a module file, or take that out of it"
        ) from error
    for part in cls.__mro__:
        if "<locals>" in part.__qualname__:
            # Nobody else can find it by its name, and its instruments are to be known as of this class.
            add_known_class(part)
    return {**named, "payload": file.getvalue(), "mro": [class_text(part) for part in cls.__mro__]}


def name_class(cls: type) -> dict[str, Any]:
    """Return what a server of another computer imports a class by.

    Raises:
        NotPortable: The class cannot be imported by a name.
    """
    if "<locals>" in cls.__qualname__ or cls.__module__ == "__main__":
        raise NotPortable(
            f"class {cls.__qualname__} of {cls.__module__} cannot be sent over a network; put it into a module that "
            f"the server can import, and on the server's list (allow)"
        )
    return {"name": class_text(cls), "file": None, "sys_path": []}


def load_class(shipped: dict[str, Any]) -> type:
    """Return the class that `dump_class` was given; the same object each time for the same definition.

    Raises:
        ImportError: Its module cannot be imported here.
        UsageError: Another module of that name has been imported here.
    """
    extend_path(shipped["sys_path"])
    if "payload" not in shipped:
        return _import(shipped["name"], shipped["file"])
    digest = hashlib.sha256(shipped["payload"]).hexdigest()
    _check_welcome()
    cls = _by_value.get(digest)
    if cls is None:
        cls = pickle.loads(shipped["payload"])
        assert isinstance(cls, type)
        _name_as_sent(cls, shipped["mro"])
        _by_value[digest] = cls
    _make_known(cls)
    return cls


def takes_name_first(cls: type) -> bool:
    """Return whether a driver's constructor takes the instrument's name as its first argument, as nearly all do."""
    names = constructor_arguments(cls)
    return "name" not in names or names[0] == "name"


def constructor_arguments(cls: type) -> list[str]:
    """Return the names of the arguments of a class's constructor, without ``self``."""
    try:
        return list(inspect.signature(cls.__init__).parameters)[1:]  # type: ignore[misc]
    except (TypeError, ValueError):
        return ["name"]


@dataclass(frozen=True)
class ShippedCode:
    """A function or class among the arguments of a constructor, on its way to a server of the same user.

    Attributes:
        payload: What cloudpickle made of it.
        sys_path: Where its modules are found.
    """

    payload: bytes
    sys_path: list[str]

    @property
    def plain(self) -> list[Any]:
        """The same as plain values."""
        return [self.payload, self.sys_path]


def code_extension(refusal: str = "") -> Extension:
    """Return what lets `ShippedCode` travel; over a network it does not.

    Args:
        refusal: Why it does not; "" if it does.
    """

    def dump(value: object) -> Any:
        if type(value) is not ShippedCode:
            return None
        if refusal:
            raise NotPortable(refusal)
        return value.plain

    def load(plain: Any) -> ShippedCode:
        if refusal:
            raise NotAllowed(refusal)
        return ShippedCode(*plain)

    return Extension(CODE_CODE, dump, load)


CODE_REFUSAL: Final = (
    "code cannot be sent over a network; put it into a module that the server can import, or do it on the "
    "server's computer"
)
_is_welcome: Final[ContextVar[bool]] = ContextVar("code_is_welcome", default=True)


def refuse_code() -> None:
    """Have this thread, from now on, unpickle nothing: it works for a client on a network."""
    _is_welcome.set(False)


@contextmanager
def code_of_its_own() -> Iterator[None]:
    """Have this thread unpickle in the block what came from local clients before."""
    before = _is_welcome.set(True)
    try:
        yield
    finally:
        _is_welcome.reset(before)


def _check_welcome() -> None:
    if not _is_welcome.get():
        raise NotAllowed(CODE_REFUSAL)


def ship_code(value: Any) -> Any:
    """Return a constructor's argument with `ShippedCode` for functions and classes, in lists, tuples and dicts too.

    Raises:
        NotPortable: Something that one of them uses cannot be pickled.
    """
    return _in_containers(value, lambda part: dump_code(part) if _is_code(part) else part)


def unship_code(value: Any) -> Any:
    """Return the argument that `ship_code` was given."""
    return _in_containers(value, lambda part: load_code(part) if type(part) is ShippedCode else part)


def _in_containers(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a value with all its parts changed; a container without any change is returned itself."""
    if type(value) in (list, tuple):
        parts = [_in_containers(part, change) for part in value]
        changed = any(new is not old for new, old in zip(parts, value, strict=True))
        return type(value)(parts) if changed else value
    if type(value) is dict:
        items = {key: _in_containers(part, change) for key, part in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    return change(value)


def _is_code(value: object) -> bool:
    if inspect.isroutine(value) or isinstance(value, type):
        return True
    return callable(value) and type(value).__module__.partition(".")[0] in _CODE_MODULES


def dump_code(value: Any) -> ShippedCode:
    """Return a function, a class or any other object by value.

    Raises:
        NotPortable: Something that it uses cannot be pickled.
    """
    file = io.BytesIO()
    try:
        with _pickling, _by_value_module(getattr(value, "__module__", None) or "builtins"):
            _Pickler(file).dump(value)
    except Exception as error:
        raise NotPortable(
            f"{value!r} cannot travel to a server: {type(error).__name__}: {error}; "
            f"put it into a module file that the server can import"
        ) from error
    return ShippedCode(file.getvalue(), search_path())


def load_code(shipped: ShippedCode) -> object:
    """Return what `dump_code` was given.

    Raises:
        NotAllowed: This thread works for a client on a network.
    """
    _check_welcome()
    extend_path(shipped.sys_path)
    return pickle.loads(shipped.payload)


def extend_path(folders: list[str]) -> None:
    """Have modules be found in a client's folders, too."""
    for folder in folders if _is_welcome.get() else ():
        if folder not in sys.path:
            sys.path.append(folder)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Takes locks and memories of functions along as new ones: what they guard is a copy too."""

    dispatch_table = ChainMap(
        {
            type(threading.Lock()): lambda lock: (threading.Lock, ()),
            type(threading.RLock()): lambda lock: (threading.RLock, ()),
            type(functools.lru_cache(min)): lambda function: _reduce_remembering(function),
            NewType: lambda kind: _reduce_new_type(kind),
        },
        cloudpickle.Pickler.dispatch_table,
    )

    def reducer_override(self, obj: Any) -> Any:
        """Take the aliases of an enum along, which cloudpickle leaves behind."""
        reduced = super().reducer_override(obj)
        if isinstance(obj, EnumType) and isinstance(reduced, tuple):
            make, (bases, name, qualname, _, *identity), (attributes, slots), *rest = reduced
            members: dict[str, Any] = {key: obj[key].value for key in obj.__members__}
            others = {key: value for key, value in attributes.items() if key not in members}
            return make, (bases, name, qualname, members, *identity), (others, slots), *rest
        return reduced


def _reduce_new_type(kind: Any) -> Any:
    """Reduce a `typing.NewType`, which goes by name unless its module goes by value."""
    return (NewType, (kind.__name__, kind.__supertype__)) if _goes_by_value(kind) else kind.__reduce__()


def _goes_by_value(thing: Any) -> bool:
    return thing.__module__ in {"__main__", *cloudpickle.list_registry_pickle_by_value()}


def _reduce_remembering(function: Any) -> Any:
    """Reduce a function behind `functools.lru_cache`, which goes by name unless its module goes by value."""
    module: Any = sys.modules.get(function.__module__)
    is_found = getattr(module, function.__qualname__, None) is function
    if _goes_by_value(function) or not is_found:
        return _remember, (function.__wrapped__, function.cache_parameters())
    return function.__reduce__()


def _remember(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _name_as_sent(cls: type, names: list[str]) -> None:
    """Give a class, and those above that came with it, their qualified names again, which cloudpickle shortens."""
    for part, name in zip(cls.__mro__, names, strict=True):
        if class_text(part) != name:
            part.__qualname__ = name.partition(":")[2]


def search_path() -> list[str]:
    """Return the folders in which this process finds modules."""
    # A finder knows what a relative folder meant when it was first searched, whatever the working directory is now.
    finders = sys.path_importer_cache
    return [os.path.abspath(getattr(finders.get(folder), "path", folder)) for folder in sys.path]


def is_importable(module: ModuleType) -> bool:
    """Return whether a fresh process with our ``sys.path`` would import this very module by its name."""
    name = module.__name__
    if name == "__main__" or module.__spec__ is None:
        return False
    package = name.rpartition(".")[0]
    if package and (package not in sys.modules or not is_importable(sys.modules[package])):
        return False
    path = sys.modules[package].__path__ if package else None
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec = find_spec(name, path) if find_spec else None
        if spec is not None:
            return bool(spec.origin == module.__spec__.origin)
    return False


@contextmanager
def _by_value_module(module_name: str) -> Iterator[None]:
    """Have everything of a module go by value; of ``__main__`` it always does."""
    module = sys.modules.get(module_name)
    if module is None or module_name == "__main__" or is_importable(module):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@contextmanager
def _without_instances(cls: type) -> Iterator[None]:
    """Take out of a class, and the classes above, what QCoDeS keeps there of living instruments."""
    kept = [
        (part, name, vars(part)[name])
        for part in cls.__mro__
        for name in ("_type", "_instances")
        if name in vars(part) and not part.__module__.startswith("qcodes.")
    ]
    for part, name, _ in kept:
        delattr(part, name)
    try:
        yield
    finally:
        for part, name, value in kept:
            setattr(part, name, value)


def _import(name: str, file: str | None) -> type:
    module_name, _, qualname = name.partition(":")
    module = importlib.import_module(module_name)
    here = getattr(module, "__file__", None)
    if file is not None and here is not None and os.path.realpath(here) != os.path.realpath(file):
        raise UsageError(
            f"the server has imported {module_name} from {here}, but yours is {file}; "
            f"use a server of its own for it, or give one of the modules another name"
        )
    if here is not None:
        _warn_if_changed(module_name, here)
    cls: Any = module
    for part in qualname.split("."):
        cls = getattr(cls, part)
    assert isinstance(cls, type)
    return cls


def _warn_if_changed(module_name: str, file: str) -> None:
    try:
        changed = os.stat(file).st_mtime_ns
    except OSError:
        return
    if _imported_when.setdefault(module_name, changed) != changed:
        warnings.warn(
            f"{file} has changed since the server imported it; stop the server to have it import the new one",
            stacklevel=2,
        )


def _make_known(cls: type) -> None:
    """Let names on the wire find the class, its bases, and the classes beside it that its functions use."""
    for part in cls.__mro__:
        if find_class(part.__module__, part.__qualname__) is not part:
            add_known_class(part)
        if part.__module__ != cls.__module__:
            continue
        for function in vars(part).values():
            if isinstance(function, FunctionType):
                for value in list(function.__globals__.values()):
                    if isinstance(value, type) and value.__module__ == cls.__module__:
                        add_known_class(value)
