"""From a schema to proxies: building the tree, and bringing it up to date without changing surviving proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qcodes.instrument import ChannelList, ChannelTuple, InstrumentModule

from instrumentserver.schema import ChannelListSchema, InstrumentSchema, ModuleSchema
from instrumentserver.wire.classes import find_class_text

from .claim import claimed_class
from .function import RemoteFunction
from .metadatable import RemoteMetadatable
from .module import RemoteModule, RemoteNode
from .parameter import build_parameter

__all__ = ["RemoteChannelList", "RemoteChannelTuple", "show_schema"]


class RemoteChannelTuple(RemoteMetadatable, ChannelTuple[Any]):
    """A channel tuple of a remote instrument."""


class RemoteChannelList(RemoteMetadatable, ChannelList[Any]):
    """A channel list of a remote instrument. It is locked here; channels are added by methods of the driver."""


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
            modules[described.path] = RemoteModule(root._link, described, modules[described.parent])
    for gone in modules.keys() - {described.path for described in schema.modules}:
        del modules[gone]
    for described in schema.modules:
        _show_module(modules[described.path], described, modules)


def _show_module(node: RemoteNode, schema: ModuleSchema, modules: Mapping[str, RemoteNode]) -> None:
    link, path = node._link, schema.path
    parameters = {}
    for described in schema.parameters:
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
    _replace(node.parameters, parameters)
    _replace(node.functions, functions)
    _replace(node.submodules, submodules)
    _replace(node.instrument_modules, {k: v for k, v in submodules.items() if isinstance(v, RemoteNode)})
    _replace(node._channel_lists, lists)
    node._show(schema)


def _replace(old: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Make a dict what another one is, never without a name that both have."""
    for gone in old.keys() - new.keys():
        del old[gone]
    old.update(new)


def _channels(
    node: RemoteNode, schema: ChannelListSchema, modules: Mapping[str, RemoteNode]
) -> ChannelTuple[Any]:
    channels = [modules[path] for path in schema.channels]
    known: Any = node._channel_lists.get(schema.name)
    if known is not None and list(known) == channels:
        return known  # type: ignore[no-any-return]
    kind = claimed_class(schema.channel_classes, InstrumentModule)
    is_list = ChannelList in (find_class_text(name) for name in schema.classes)
    made = (RemoteChannelList if is_list else RemoteChannelTuple)(
        node, schema.list_name, kind, channels, snapshotable=schema.snapshotable
    )
    made._link = node._link
    made._path = f"{node._path}.{schema.name}"
    made._is_built = True
    return made
