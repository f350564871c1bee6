"""From an instrument to the schema that proxies are built from."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

from qcodes.instrument import ChannelList, ChannelTuple, Instrument, InstrumentBase, InstrumentModule
from qcodes.parameters import ArrayParameter, Function, MultiParameter, Parameter, ParameterBase

from instrumentserver.schema import (
    SPECIAL_METHODS,
    ChannelListSchema,
    FunctionSchema,
    InstrumentSchema,
    MethodSchema,
    ModuleSchema,
    ParameterSchema,
    PartSchema,
    SignatureSchema,
)
from instrumentserver.schema.description import ArgumentSchema
from instrumentserver.transport.address import Address
from instrumentserver.wire.classes import class_text

from .hosted import Hosted, channel_parts

__all__ = [
    "RELATIONS",
    "describe_instrument",
    "describe_method",
    "describe_part",
    "is_method",
    "module_paths",
    "special_methods",
]

IsPortable = Callable[[Any], bool]
AddressOf = Callable[[object], str | None]

_QCODES_MODULES: Final = (
    frozenset(dir(Instrument)) | frozenset(dir(InstrumentModule)) | frozenset(vars(InstrumentBase("base")))
)
_QCODES_CHANNEL_LISTS: Final = frozenset(dir(ChannelList)) | {"metadata"}
_QCODES_PARAMETERS: Final = frozenset(dir(Parameter)) | frozenset(vars(Parameter("p", set_cmd=None)))
RELATIONS: Final = ("depends_on", "has_control_of", "is_controlled_by")
"""Sets of parameters by which a parameter says what a dataset must know of it."""
_PARTS: Final = (ParameterBase, InstrumentBase, ChannelTuple, Function)
_EXTRAS: Final[tuple[tuple[type[ParameterBase], tuple[str, ...]], ...]] = (
    (ArrayParameter, ("shape", "setpoints", "setpoint_names", "setpoint_labels", "setpoint_units")),
    (
        MultiParameter,
        (
            "names",
            "shapes",
            "labels",
            "units",
            "setpoints",
            "setpoint_names",
            "setpoint_labels",
            "setpoint_units",
        ),
    ),
)


def describe_instrument(hosted: Hosted, is_portable: IsPortable, address_of: AddressOf) -> InstrumentSchema:
    """Return the schema of an instrument.

    Args:
        hosted: The instrument.
        is_portable: Tells whether a value, such as an argument's default, can travel.
        address_of: Returns the address of a parameter, None if it has none.
    """
    version = hosted.version.number
    modules = [
        _describe_module(module, path, parent, is_portable, paths, address_of)
        for paths in [module_paths(hosted)]
        for module, path, parent in paths.values()
    ]
    return InstrumentSchema(version, modules)


def describe_part(
    hosted: Hosted, part: Any, path: str, is_portable: IsPortable, address_of: AddressOf
) -> PartSchema:
    """Return the schema of a part that the driver keeps without having added it to the instrument."""
    above = part.parent if isinstance(part, InstrumentBase) else getattr(part, "_parent", None)
    if isinstance(part, ParameterBase | Function):
        above = part.instrument
    place = address_of(above) if isinstance(above, InstrumentBase) else None
    parent = "" if place is None else Address.parse(place).path
    empty = PartSchema(parent, None, [], None)
    if isinstance(part, ParameterBase):
        return empty._replace(parameter=_describe_parameter(part.short_name, part, is_portable, ""))
    if isinstance(part, ChannelTuple):
        paths = [Address.parse(address_of(channel) or "").path for channel in part]
        return empty._replace(channels=_describe_channels("", part, paths, is_portable))
    found = _walk(part, path, parent)
    return empty._replace(
        modules=[
            _describe_module(module, place, above_it, is_portable, found, address_of)
            for module, place, above_it in found.values()
        ]
    )


_Paths = dict[int, tuple[InstrumentBase, str, str]]


def module_paths(hosted: Hosted) -> _Paths:
    """Return every module once, with its path and its parent's, by identity, parents first.

    A channel that was added by its own name and in a list has the path of the own name.
    """
    return _walk(hosted.instrument, hosted.name, "")


def _walk(top: InstrumentBase, top_path: str, above: str) -> _Paths:
    found: _Paths = {id(top): (top, top_path, above)}

    def walk(module: InstrumentBase, path: str) -> None:
        below: list[tuple[InstrumentBase, str]] = []
        for name, submodule in module.submodules.items():
            if isinstance(submodule, InstrumentBase):
                below.append((submodule, f"{path}.{name}"))
        for name, submodule in module.submodules.items():
            if isinstance(submodule, ChannelTuple):
                for channel, part in zip(submodule, channel_parts(submodule), strict=False):
                    below.append((channel, f"{path}.{name}.{part}"))
        new = [(found_module, place) for found_module, place in below if id(found_module) not in found]
        for found_module, place in new:
            found.setdefault(id(found_module), (found_module, place, path))
        for found_module, place in new:
            walk(found_module, place)

    walk(top, top_path)
    return found


def _describe_module(
    module: InstrumentBase,
    path: str,
    parent: str,
    is_portable: IsPortable,
    paths: _Paths,
    address_of: AddressOf,
) -> ModuleSchema:
    # A thread of the driver may have added more than was found: the next version tells of it.
    below = {
        name: found
        for name, found in module.submodules.items()
        if isinstance(found, ChannelTuple) or id(found) in paths
    }
    lists = [(name, found) for name, found in below.items() if isinstance(found, ChannelTuple)]
    known = {*module.parameters, *module.functions, *module.submodules}
    members = list(_public_members(module, _QCODES_MODULES))
    return ModuleSchema(
        path=path,
        parent=parent,
        name=module.short_name,
        classes=_class_texts(type(module)),
        label=getattr(module, "label", None),
        doc=type(module).__doc__,
        parameters=[
            _describe_parameter(
                name,
                found,
                is_portable,
                "" if found.instrument is module or not found.instrument else address_of(found) or "",
            )
            for name, found in module.parameters.items()
        ],
        functions=[_describe_function(found) for found in module.functions.values()],
        methods=[
            describe_method(name, member, is_portable)
            for name, member in members
            if is_method(member) and name not in known
        ],
        attributes=[name for name, member in members if not is_method(member)],
        aliases=[
            (name, address)
            for name, member in members
            if isinstance(member, _PARTS)
            and name not in known
            and (address := address_of(member)) is not None
        ],
        submodules=[
            (name, paths[id(found)][1]) for name, found in below.items() if isinstance(found, InstrumentBase)
        ],
        channel_lists=[
            _describe_channels(name, found, [paths[id(channel)][1] for channel in found], is_portable)
            for name, found in lists
        ],
        order=list(below),
        special=special_methods(type(module)),
        logger_name=module.log.logger.name,
    )


def _describe_channels(
    name: str, found: ChannelTuple[Any], paths: list[str], is_portable: IsPortable
) -> ChannelListSchema:
    of_qcodes = _QCODES_CHANNEL_LISTS | found._channel_mapping.keys()
    members = list(_public_members(found, of_qcodes))
    return ChannelListSchema(
        name=name,
        list_name=found.short_name,
        classes=_class_texts(type(found)),
        channel_classes=_class_texts(found._chan_type),
        channels=paths,
        snapshotable=bool(found._snapshotable),
        is_locked=bool(getattr(found, "_locked", True)),
        parameter_classes=_class_texts(found._paramclass),
        methods=[describe_method(part, member, is_portable) for part, member in members if is_method(member)],
        attributes=[part for part, member in members if not is_method(member)],
    )


def _describe_parameter(
    name: str, parameter: ParameterBase, is_portable: IsPortable, lent_by: str
) -> ParameterSchema:
    members = list(_public_members(parameter, _QCODES_PARAMETERS))
    extras = {
        extra: getattr(parameter, extra, None)
        for cls, extra_names in _EXTRAS
        if isinstance(parameter, cls)
        for extra in extra_names
    }
    return ParameterSchema(
        name=name,
        classes=_class_texts(type(parameter)),
        label=getattr(parameter, "label", None),
        unit=getattr(parameter, "unit", None),
        doc=parameter.__doc__,
        gettable=parameter.gettable,
        settable=parameter.settable,
        register_name=parameter._register_name,
        snapshot_value=parameter.snapshot_value,
        snapshot_exclude=parameter.snapshot_exclude,
        attributes=[part for part, member in members if not is_method(member)],
        methods=[describe_method(part, member, is_portable) for part, member in members if is_method(member)],
        extras={extra: value for extra, value in extras.items() if is_portable(value)},
        # Not by the properties: that of a ParameterWithSetpoints asks the driver for its setpoints.
        relations=[relation for relation in RELATIONS if vars(parameter).get(f"_{relation}")],
        unpacks_itself=not _is_of_qcodes(type(parameter).unpack_self.__module__),
        names_instrument=type(parameter).underlying_instrument is not ParameterBase.underlying_instrument,
        special=[
            name
            for name in ("__repr__", "__str__")
            if getattr(type(parameter), name) is not getattr(ParameterBase, name)
        ],
        lent_by=lent_by,
    )


def _describe_function(function: Function) -> FunctionSchema:
    return FunctionSchema(function.name, function.__doc__, list(function._args))


def describe_method(name: str, method: Callable[..., Any], is_portable: IsPortable) -> MethodSchema:
    """Return the schema of a method, bound to its object or not."""
    doc = getattr(method, "__doc__", None) or inspect.getdoc(method)
    is_driver = not _is_of_qcodes(getattr(method, "__module__", None) or "")
    return MethodSchema(name, doc, _describe_signature(method, is_portable), is_driver)


def special_methods(cls: type) -> list[str]:
    """Return the special methods that a driver defines itself, sorted."""
    names = SPECIAL_METHODS | {"__repr__", "__str__"}
    found = {
        name
        for part in cls.__mro__
        if not _is_of_qcodes(part.__module__)
        for name in vars(part)
        if name in names
    }
    return sorted(found)


def _is_of_qcodes(module: str) -> bool:
    """Return whether a module defines QCoDeS's own base classes; its drivers do not."""
    return module.startswith(
        ("qcodes.instrument.", "qcodes.parameters.", "qcodes.metadatable.", "qcodes.utils.")
    ) or module in ("abc", "builtins", "collections.abc", "typing")


def _describe_signature(method: Callable[..., Any], is_portable: IsPortable) -> SignatureSchema | None:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return None
    arguments = []
    for argument in signature.parameters.values():
        has_default = argument.default is not argument.empty
        can_travel = has_default and is_portable(argument.default)
        arguments.append(
            ArgumentSchema(
                name=argument.name,
                kind=int(argument.kind),
                has_default=has_default,
                default=argument.default if can_travel else None,
                default_text=repr(argument.default) if has_default and not can_travel else None,
                annotation=_annotation_text(argument.annotation),
            )
        )
    return SignatureSchema(arguments, _annotation_text(signature.return_annotation))


def _annotation_text(annotation: Any) -> str | list[str] | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else [inspect.formatannotation(annotation)]


def is_method(member: object) -> bool:
    """Return whether a member is a method or a function, rather than an object that can be called as well."""
    if inspect.isroutine(member) or isinstance(member, functools.partial):
        return True
    return callable(member) and hasattr(member, "__name__") and not isinstance(member, (type, *_PARTS))


def _class_texts(cls: type) -> list[str]:
    return [class_text(part) for part in cls.__mro__ if part is not object]


def _public_members(thing: object, of_qcodes: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield the public members that a driver gave a thing, without running any of its properties.

    Methods of QCoDeS's base classes are left out, for the proxy has them itself, unless the driver overrides them.
    """
    cls = type(thing)
    in_instance = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    for name, value in in_instance.items():
        if name not in of_qcodes or (is_method(value) and name not in ("get", "set") and hasattr(cls, name)):
            yield name, value
    for name in dir(cls):
        if name.startswith("_") or name in in_instance:
            continue
        definer = next((part for part in cls.__mro__ if name in vars(part)), cls)
        if name in of_qcodes and _is_of_qcodes(definer.__module__):
            continue
        member = inspect.getattr_static(cls, name)
        if isinstance(member, staticmethod | classmethod) or inspect.isroutine(member):
            yield name, getattr(thing, name)
        else:
            yield name, None if isinstance(member, property) else member
