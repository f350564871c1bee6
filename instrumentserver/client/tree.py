"""From a schema to proxies: building the tree, and bringing it up to date without changing surviving proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcodes.instrument import ChannelList, ChannelTuple, InstrumentModule
from qcodes.parameters import MultiChannelInstrumentParameter

from instrumentserver.schema import ChannelListSchema, InstrumentSchema, ModuleSchema, PartSchema
from instrumentserver.transport.address import Address
from instrumentserver.wire.classes import find_class_text

from .additions import is_local_part
from .channels import RemoteChannelList, RemoteChannelTuple
from .claim import claimed_class
from .function import RemoteFunction
from .module import RemoteModule, RemoteNode
from .parameter_kinds import build_parameter
from .special import with_special_methods

__all__ = ["build_part", "show_schema"]


def show_schema(root: RemoteNode, schema: InstrumentSchema, modules: dict[str, RemoteNode]) -> None:
    """Make a remote instrument's tree what a schema says.

    Proxies of parts that the schema still has stay the same objects.

    Args:
        root: The instrument's proxy.
        schema: What it shall look like.
        modules: Proxies by path; brought up to date.
    """
    modules[schema.modules[0].path] = root
    for described in schema.modules[1:]:
        if described.path not in modules:
            cls = with_special_methods(RemoteModule, tuple(described.special))
            modules[described.path] = cls(root._link, described, modules[described.parent])
    for gone in modules.keys() - {described.path for described in schema.modules}:
        del modules[gone]
    for described in schema.modules:
        _show_module(modules[described.path], described, modules)
    for described in schema.modules:
        _lend_within(modules, described)


def build_part(
    root: RemoteNode, path: str, schema: PartSchema, modules: Mapping[str, RemoteNode], above: Any
) -> Any:
    """Return a proxy of a part that the driver keeps without having added it to the instrument.

    Args:
        root: The instrument's proxy.
        path: The part's path.
        schema: What it looks like.
        modules: Proxies of modules by path.
        above: The proxy of the module that the part names as its own, None if there is none.
    """
    if schema.parameter is not None:
        return build_parameter(root._link, path, schema.parameter, above)
    known = dict(modules)
    if schema.channels is not None:
        return _new_channels(
            above, schema.channels, [known[place] for place in schema.channels.channels], path
        )
    for described in schema.modules:
        cls = with_special_methods(RemoteModule, tuple(described.special))
        known[described.path] = cls(root._link, described, known.get(described.parent, above))
    for described in schema.modules:
        _show_module(known[described.path], described, known)
    for described in schema.modules:
        _lend_within(known, described)
    return known[path]


def _show_module(node: RemoteNode, schema: ModuleSchema, modules: Mapping[str, RemoteNode]) -> None:
    link, path = node._link, schema.path
    parameters = {}
    for described in schema.parameters:
        if described.lent_by:
            lent = link.find_lent(described.lent_by)
            if lent is not None:
                parameters[described.name] = lent
                continue
        known: Any = node.parameters.get(described.name)
        is_same = known is not None and known._schema.classes == described.classes
        if is_same and (known._schema.gettable, known._schema.settable) == (
            described.gettable,
            described.settable,
        ):
            known._schema = described
            known.__doc__ = described.doc
        else:
            known = build_parameter(link, f"{path}.{described.name}", described, node)
        parameters[described.name] = known
    functions = {}
    for function in schema.functions:
        old: Any = node.functions.get(function.name)
        functions[function.name] = old or RemoteFunction(link, f"{path}.{function.name}", function, node)
    submodules: dict[str, Any] = {name: modules[place] for name, place in schema.submodules}
    lists = {found.name: _channels(node, found, modules) for found in schema.channel_lists}
    submodules.update(lists)
    submodules = {name: submodules[name] for name in schema.order}
    submodules = _with_local_parts(submodules, node.submodules)
    _replace(node.parameters, _with_local_parts(parameters, node.parameters))
    _replace(node.functions, _with_local_parts(functions, node.functions))
    _replace(node.submodules, submodules)
    _replace(
        node.instrument_modules, {k: v for k, v in submodules.items() if isinstance(v, InstrumentModule)}
    )
    _replace(node._channel_lists, {k: v for k, v in submodules.items() if isinstance(v, ChannelTuple)})
    node._show(schema)


def _lend_within(modules: Mapping[str, RemoteNode], schema: ModuleSchema) -> None:
    """Let every name of a part of the same instrument lead to the one proxy of the part."""
    node = modules[schema.path]
    for alias, place in schema.aliases:
        address = Address.parse(place)
        if address.server == node._link.session.address:
            part = _part(modules, address.path)
            if part is not None:
                node._add_shortcut(alias, part)
    for described in schema.parameters:
        if described.lent_by:
            address = Address.parse(described.lent_by)
            lent = _part(modules, address.path) if address.server == node._link.session.address else None
            if lent is not None:
                node.parameters[described.name] = lent


def _part(modules: Mapping[str, RemoteNode], path: str) -> Any:
    """Return the part of an instrument that a path leads to, None for one of another instrument."""
    if path in modules:
        return modules[path]
    above, _, name = path.rpartition(".")
    if above not in modules:
        return None
    node = modules[above]
    for named in (node.parameters, node.functions, node.submodules):
        if name in named:
            return named[name]
    return None


def _with_local_parts(found: dict[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that the server has, and those that this process added."""
    return {**{name: part for name, part in there.items() if is_local_part(part)}, **found}


def _replace(old: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Make a dict what another one is, order included, never without a name that both have."""
    for gone in old.keys() - new.keys():
        del old[gone]
    old.update(new)
    if list(old) != list(new):
        for name, part in new.items():
            del old[name]
            old[name] = part


def _channels(
    node: RemoteNode, schema: ChannelListSchema, modules: Mapping[str, RemoteNode]
) -> ChannelTuple[Any]:
    channels = [modules[path] for path in schema.channels]
    known: Any = node._channel_lists.get(schema.name)
    if type(known) in (RemoteChannelList, RemoteChannelTuple):
        channels += [channel for channel in known if is_local_part(channel)]
        if list(known) != channels:
            known._channels = channels
            known._channel_mapping = {channel.short_name: channel for channel in channels}
        known.show(node._link, f"{node._path}.{schema.name}", schema)
        return known  # type: ignore[no-any-return]
    return _new_channels(node, schema, channels, f"{node._path}.{schema.name}")


def _new_channels(
    node: RemoteNode, schema: ChannelListSchema, channels: list[Any], path: str
) -> ChannelTuple[Any]:
    is_list = ChannelList in (find_class_text(name) for name in schema.classes)
    made = (RemoteChannelList if is_list else RemoteChannelTuple)(
        node,
        schema.list_name,
        claimed_class(schema.channel_classes, InstrumentModule),
        channels,
        snapshotable=schema.snapshotable,
        multichan_paramclass=claimed_class(schema.parameter_classes, MultiChannelInstrumentParameter),  # type: ignore[arg-type]
    )
    made.show(node._link, path, schema)
    return made
