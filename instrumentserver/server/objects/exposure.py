"""What clients may reach of a served object, and of the objects that come from it; everything else is refused.

One rule for reading, calling, setting and deleting, and for what calls return: public names only, one at a time, and
never what leads out of the object into Python itself (modules, frames, code, the attributes of functions).
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import suppress
from types import AsyncGeneratorType, GeneratorType, ModuleType
from typing import Any, Final

import numpy as np

from instrumentserver.errors import UnknownName
from instrumentserver.schema import OBJECT_SPECIALS

from .forbidden import check_code, check_kind, is_bare, is_code
from .members import MISSING, classes_of, find_static, is_method, may_have, top_packages
from .own_names import is_public, own_names, top_package
from .patterns import Patterns
from .specials import call_special
from .steps import STEPS, take_step

__all__ = ["Exposure"]

_MOST_REMEMBERED: Final = 10_000
_DEEPEST: Final = 4
"""Classes inside classes deeper than this have no path of their own."""
_FRAMED: Final = (GeneratorType, AsyncGeneratorType)
_OF_SWIG: Final = frozenset(("this", "thisown"))
_WITHHELD: Final = {
    # A client's format string would read whatever is below its arguments.
    "format": [vars(str)["format"]],
    "format_map": [vars(str)["format_map"]],
    # They write files wherever they are told to.
    "tofile": [vars(np.ndarray)["tofile"], vars(np.generic)["tofile"]],
    "dump": [vars(np.ndarray)["dump"], vars(np.generic)["dump"]],
}
"""Methods of classes of Python and numpy that those below them do not offer clients."""


class Exposure:
    """What of one root, and of everything that comes from it, clients may use.

    Args:
        root: The served object, class or module.
        expose: Patterns as of `fnmatch`, case-sensitive: ``"get*"`` for members of the root, ``"Counter.get*"`` for
            members of objects of a class. A class without patterns of its own keeps all its public members.

    Raises:
        UsageError: A pattern is malformed, or nothing of the root matches it.
    """

    def __init__(self, root: Any, expose: Sequence[str] | None = None) -> None:
        self.root = root
        self._own = own_names(root) if isinstance(root, ModuleType) else frozenset()
        self._tops = top_packages(root)
        # What was found to be reachable, which is the same for all objects of a class.
        self._methods: set[tuple[type, str]] = set()
        self._specials: set[tuple[type, str]] = set()
        self._readable: set[tuple[type, str]] = set()
        self._functions: dict[str, Any] = {}
        self._class_paths: dict[type, str] = {}
        self._patterns: Patterns | None = None
        if expose is not None:
            self._narrow(expose)
        self._add_class_paths(root, "", 0)

    # For clients' requests

    def get(self, thing: Any, name: str) -> Any:
        """Return a public member of a thing.

        Raises:
            AttributeError: It has none of that name that clients may read.
            NotPortable: Its value must not leave the server in any form.
        """
        if (type(thing), name) in self._readable:
            return self._get_of_object(thing, name)
        self._check_name(thing, name)
        if isinstance(thing, ModuleType | type):
            value = vars(thing)[name] if isinstance(thing, ModuleType) else self._get_of_class(thing, name)
            check_kind(value)
            return value
        self._remember(self._readable, thing, name)
        return self._get_of_object(thing, name)

    def call(self, thing: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a public method of a thing, a special method, or, by the name "", the thing itself.

        Steps of generators and iterators return how the step ended; see `instrumentserver.server.objects.steps`.

        Raises:
            AttributeError: It has none of that name that clients may call.
            TypeError: What the name leads to cannot be called.
        """
        kind = type(thing)
        if (kind, name) in self._methods and name not in getattr(thing, "__dict__", ()):
            return getattr(thing, name)(*args, **kwargs)
        if thing is self.root and name in self._functions and vars(thing).get(name) is self._functions[name]:
            return self._functions[name](*args, **kwargs)
        if (kind, name) in self._specials:
            return call_special(thing, name, args, kwargs)
        if name == "":
            return self._call_itself(thing, args, kwargs)
        if name == "__dir__":
            return self.instance_names(thing)
        if name in STEPS and (name.startswith("_") or issubclass(type(thing), Generator | AsyncGenerator)):
            self._check_special(thing, name, name)
            return take_step(thing, name, args)
        if name in OBJECT_SPECIALS:
            self._check_special(thing, name, name)
            self._remember(self._specials, thing, name)
            return call_special(thing, name, args, kwargs)
        method = self.get(thing, name)
        if not callable(method):
            raise TypeError(f"{name} of {_named(thing)} is a {type(method).__name__} and cannot be called")
        if isinstance(thing, ModuleType):
            self._functions[name] = method
        elif is_method(find_static(kind, name)):
            self._remember(self._methods, thing, name)
        return method(*args, **kwargs)

    def _remember(self, reachable: set[tuple[type, str]], thing: Any, name: str) -> None:
        """Note that a member of a thing was found to be reachable, and so is that of every other thing of its class."""
        if isinstance(thing, ModuleType | type) or is_bare(thing):
            return
        if self._patterns is not None and type(thing) is type(self.root):
            # For the root they leave others than for objects of its class.
            return
        if len(reachable) >= _MOST_REMEMBERED:
            reachable.clear()
        reachable.add((type(thing), name))

    def set(self, thing: Any, name: str, value: Any) -> None:
        """Set a public attribute of an object.

        Raises:
            AttributeError: It has none of that name that clients may set.
        """
        self._check_name(thing, name)
        if isinstance(thing, ModuleType | type) or is_bare(thing):
            raise AttributeError(
                f"{name} of {_named(thing)} cannot be set: members of modules and classes are for everybody; "
                f"set attributes of objects, or add a function to the server's code that sets it"
            )
        static = find_static(type(thing), name)
        if isinstance(static, staticmethod | classmethod | type) or inspect.isroutine(static):
            raise AttributeError(f"{name} is a method of {_named(thing)} and cannot be replaced by a client")
        if static is MISSING and not may_have(thing, name):
            raise AttributeError(
                f"{_named(thing)} has no attribute {name!r} that could be set; "
                f"its class must declare it, or have set it before"
            )
        setattr(thing, name, value)

    def delete(self, thing: Any, name: str) -> None:
        """Delete a public attribute that an object has itself.

        Raises:
            AttributeError: It has none of that name.
        """
        self._check_name(thing, name)
        static = find_static(type(thing), name)
        is_own = not isinstance(thing, ModuleType | type) and not is_bare(thing)
        if not is_own or not (name in getattr(thing, "__dict__", ()) or isinstance(static, property)):
            raise AttributeError(f"{name} of {_named(thing)} cannot be deleted by a client")
        delattr(thing, name)

    # What there is

    def members(self, thing: Any) -> list[str]:
        """Return the names of the public members that a thing has through its class, or that a module or class has."""
        if isinstance(thing, ModuleType):
            names = set(self._own)
        elif is_bare(thing):
            return []
        else:
            cls = thing if isinstance(thing, type) else type(thing)
            names = {name for part in cls.__mro__ if part is not object for name in vars(part)}
        return sorted(name for name in names if self._is_member(thing, name))

    def instance_names(self, thing: Any) -> list[str]:
        """Return the names of the public attributes that an object has itself."""
        if isinstance(thing, ModuleType | type) or is_bare(thing):
            return []
        lists_itself = find_static(type(thing), "__dir__") not in (MISSING, object.__dir__)
        names = set(dir(thing) if lists_itself else getattr(thing, "__dict__", ()))
        return sorted(name for name in names if self._is_member(thing, name))

    def has_special(self, thing: Any, name: str) -> bool:
        """Return whether clients may use a special method of a thing."""
        try:
            self._check_special(thing, name, name)
        except AttributeError:
            return False
        return True

    def owns(self, module_name: str | None) -> bool:
        """Return whether a module belongs to the package of the root."""
        return top_package(module_name or "") in self._tops

    def check_result(self, value: Any) -> None:
        """Make sure that something may stay on the server for a client, who gets a proxy for it.

        Raises:
            NotPortable: It must not; the message says what it is.
        """
        if isinstance(value, type) and value in self._class_paths:
            return
        check_kind(value)
        if is_code(value):
            check_code(value, self.owns)

    def let_go(self, thing: Any) -> None:
        """End a generator that was not run to its end and that nobody has any more; its lock is held."""
        if issubclass(type(thing), Generator):
            with suppress(Exception):
                thing.close()

    # Classes of the root

    def class_path(self, cls: Any) -> str | None:
        """Return the dotted name of a class within the root, None if it is not reachable there."""
        return self._class_paths.get(cls) if isinstance(cls, type) else None

    def class_at(self, path: str) -> type:
        """Return the class of the root that `class_path` names.

        Raises:
            UnknownName: There is none that clients may use.
        """
        for cls, known in self._class_paths.items():
            if known == path:
                return cls
        raise UnknownName(f"{_named(self.root)} has no class {path!r:.80} that clients may use")

    def _add_class_paths(self, thing: Any, above: str, depth: int) -> None:
        if depth >= _DEEPEST or not isinstance(thing, ModuleType | type):
            return
        for name in self.members(thing):
            value = vars(thing).get(name)
            if not isinstance(value, type) or value in self._class_paths or value is self.root:
                continue
            if not isinstance(thing, ModuleType) and not self.owns(value.__module__):
                continue
            self._class_paths[value] = f"{above}{name}"
            if not issubclass(value, enum.Enum):
                self._add_class_paths(value, f"{above}{name}.", depth + 1)

    # Checks

    def _check_name(self, thing: Any, name: str) -> None:
        if not is_public(name):
            raise AttributeError(
                f"{str(name)[:80]!r} is not a public name; clients use the public members of {_named(thing)}, "
                f"each by its one name"
            )
        if not self._is_member(thing, name):
            raise AttributeError(f"{_named(thing)} has no public member {name!r}")

    def _is_member(self, thing: Any, name: str) -> bool:
        """Return whether a name may be a member's at all, whether or not the thing has it now."""
        if not is_public(name) or is_bare(thing):
            return False
        if isinstance(thing, ModuleType):
            return (
                thing is self.root
                and name in self._own
                and name in vars(thing)
                and self._is_exposed(thing, name)
            )
        cls = thing if isinstance(thing, type) else type(thing)
        if isinstance(thing, type) and find_static(cls, name) is MISSING:
            return False
        if issubclass(cls, _FRAMED):
            # Steps are no members; all others show the frame.
            return False
        if name in _OF_SWIG and hasattr(cls, "__swig_destroy__"):
            return False
        if name in _WITHHELD and any(find_static(cls, name) is static for static in _WITHHELD[name]):
            return False
        return self._is_exposed(thing, name)

    def _get_of_object(self, thing: Any, name: str) -> Any:
        value = getattr(thing, name)
        if is_code(value):
            is_own = name in getattr(thing, "__dict__", ())
            if is_own or not is_method(find_static(type(thing), name)):
                check_code(value, self.owns)
        check_kind(value)
        return value

    def _get_of_class(self, cls: type, name: str) -> Any:
        if isinstance(cls, enum.EnumType) and name in cls.__members__:
            return cls.__members__[name]
        static = find_static(cls, name)
        if isinstance(static, staticmethod | classmethod):
            value = getattr(cls, name)
            if isinstance(static, staticmethod):
                check_code(value, self.owns)
            return value
        if inspect.isroutine(static) or inspect.isdatadescriptor(static) or isinstance(static, property):
            raise AttributeError(
                f"{name} belongs to the objects of class {cls.__qualname__}; use it on one of them"
            )
        value = getattr(cls, name)
        if is_code(value) and not self.class_path(value):
            check_code(value, self.owns)
        return value

    def _call_itself(self, thing: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(thing, type):
            if thing is not self.root and thing not in self._class_paths:
                check_code(thing, self.owns)
            return thing(*args, **kwargs)
        if is_bare(thing):
            return thing(*args, **kwargs)
        self._check_special(thing, "__call__", "__call__")
        return thing(*args, **kwargs)

    def _check_special(self, thing: Any, name: str, required: str) -> None:
        """Make sure that a thing's class has a special method, or the method that a step needs."""
        static = find_static(type(thing), required)
        is_there = static is not MISSING and static is not None
        if isinstance(thing, ModuleType | type) or is_bare(thing) or not is_there:
            raise AttributeError(f"{_named(thing)} has no {name}")
        if issubclass(type(thing), Generator | AsyncGenerator):
            return
        if static is vars(object).get(required) and required not in ("__repr__", "__str__"):
            raise AttributeError(f"{_named(thing)} has no {name}")
        if not self._is_exposed(thing, required):
            raise AttributeError(f"{name} of {_named(thing)} is not among what was exposed")

    # Narrowing

    def _narrow(self, expose: Sequence[str]) -> None:
        patterns = Patterns(self.root, expose)
        specials = [name for name in OBJECT_SPECIALS if find_static(type(self.root), name) is not MISSING]
        names = [*self.members(self.root), *self.instance_names(self.root), *specials]
        patterns.check(names, classes_of(self.root, self._tops), _named(self.root))
        self._patterns = patterns

    def _is_exposed(self, thing: Any, name: str) -> bool:
        """Return whether the patterns leave a member."""
        return self._patterns is None or self._patterns.leave(thing, name)


def _named(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return f"module {thing.__name__}"
    if isinstance(thing, type):
        return f"class {thing.__qualname__}"
    return f"a {type(thing).__qualname__}"
