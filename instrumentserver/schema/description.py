"""The parts of an instrument, described for a proxy. Everything here travels by itself as a value."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

__all__ = [
    "SPECIAL_METHODS",
    "ArgumentSchema",
    "ChannelListSchema",
    "ClassSchema",
    "FunctionSchema",
    "HeldSchema",
    "InstrumentSchema",
    "LoggerSchema",
    "MethodSchema",
    "ModuleSchema",
    "ObjectSchema",
    "ParameterSchema",
    "PartSchema",
    "SignatureSchema",
]


SPECIAL_METHODS: Final = frozenset(
    (
        *("__bool__", "__call__", "__contains__", "__delitem__", "__enter__", "__exit__"),
        *("__getitem__", "__iter__", "__len__", "__reversed__", "__setitem__"),
    )
)
"""Special methods of drivers that proxies pass on, beside ``__repr__`` and ``__str__``."""


class ArgumentSchema(NamedTuple):
    """One argument of a method.

    Attributes:
        name: Its name.
        kind: Its kind, as `inspect.Parameter` counts kinds.
        has_default: Whether it may be left out.
        default: The default where it has a value form.
        default_text: How the default reads where it has none, else None.
        annotation: Its annotation: text where it is written as text, else how it reads, in a list; None without one.
    """

    name: str
    kind: int
    has_default: bool
    default: Any
    default_text: str | None
    annotation: str | list[str] | None


class SignatureSchema(NamedTuple):
    """The signature of a method, without ``self``; ``returns`` is the annotation, as for arguments."""

    arguments: list[ArgumentSchema]
    returns: str | list[str] | None


class MethodSchema(NamedTuple):
    """A public method of an instrument, a module or a parameter.

    Attributes:
        name: Its name.
        doc: Its docstring.
        signature: None where Python knows none.
        is_driver: Whether the driver wrote it, rather than QCoDeS.
    """

    name: str
    doc: str | None
    signature: SignatureSchema | None
    is_driver: bool


class ObjectSchema(NamedTuple):
    """An object that cannot travel, for the one who stands for it.

    Attributes:
        classes: Its class and the classes above, nearest first, as `class_text` writes them.
        shown: How it reads.
        is_true: Whether it counts as true.
        doc: Its docstring.
        special: Special methods that its class defines.
    """

    classes: list[str]
    shown: str
    is_true: bool
    doc: str | None
    special: list[str]


class LoggerSchema(NamedTuple):
    """A logger of an instrument, by name."""

    name: str


class ClassSchema(NamedTuple):
    """A class, by the name under which the other side may have it too, and what else stands for it."""

    name: str
    otherwise: ObjectSchema


class HeldSchema(NamedTuple):
    """What a call returned and what stays on the server, for the one who stands for it.

    Attributes:
        path: By which it is used.
        is_generator: Whether it is a generator.
        is_iterator: Whether it is an iterator, as a generator is.
        is_context: Whether it is a context manager.
        classes: Its class and the classes above, nearest first, as `class_text` writes them.
        shown: How it reads.
    """

    path: str
    is_generator: bool
    is_iterator: bool
    is_context: bool
    classes: list[str]
    shown: str


class ParameterSchema(NamedTuple):
    """A parameter.

    Attributes:
        name: Short name.
        classes: Its class and the classes above, nearest first, as `class_text` writes them.
        label: Label, as QCoDeS means it; None for kinds of parameters that have none.
        unit: Unit; None for kinds of parameters that have none.
        doc: Its docstring, as QCoDeS built it.
        gettable: Whether it can be read.
        settable: Whether it can be set.
        register_name: Its name in datasets.
        snapshot_value: Whether snapshots hold its value.
        snapshot_exclude: Whether snapshots leave it out.
        attributes: Names of public attributes that are not methods.
        methods: Methods that its own class adds to QCoDeS's.
        extras: Constructor arguments that only some kinds of parameters have.
        names_instrument: Whether its class says itself whose hardware it uses.
        relations: Which of the sets by which it names related parameters have any.
        unpacks_itself: Whether its class says itself what a dataset stores for a value.
        special: Special methods that its class defines.
        lent_by: The address of the parameter itself, where it belongs to another module or instrument, else "".
    """

    name: str
    classes: list[str]
    label: str | None
    unit: str | None
    doc: str | None
    gettable: bool
    settable: bool
    register_name: str | None
    snapshot_value: bool
    snapshot_exclude: bool
    attributes: list[str]
    methods: list[MethodSchema]
    extras: dict[str, Any]
    names_instrument: bool
    relations: list[str]
    unpacks_itself: bool
    special: list[str]
    lent_by: str


class FunctionSchema(NamedTuple):
    """A QCoDeS function: name, docstring and the validators of its arguments."""

    name: str
    doc: str | None
    validators: list[Any]


class ChannelListSchema(NamedTuple):
    """A channel tuple or list.

    Attributes:
        name: The name under which it was added as a submodule.
        list_name: The name that it has itself.
        classes: Its class and the classes above, nearest first, as `class_text` writes them.
        channel_classes: The class of its channels and the classes above.
        channels: Paths of its channels, from the instrument down.
        snapshotable: Whether snapshots hold its channels.
        is_locked: Whether channels cannot be added any more.
        parameter_classes: The class of parameters of several channels and the classes above.
        methods: Methods that its own class adds to QCoDeS's.
        attributes: Names of public attributes that its own class adds.
    """

    name: str
    list_name: str
    classes: list[str]
    channel_classes: list[str]
    channels: list[str]
    snapshotable: bool
    is_locked: bool
    parameter_classes: list[str]
    methods: list[MethodSchema]
    attributes: list[str]


class ModuleSchema(NamedTuple):
    """An instrument, module or channel, without what is below it.

    Attributes:
        path: Its path from the root instrument down, beginning with the instrument's name.
        parent: Path of the module above; "" for the instrument itself.
        name: Short name.
        classes: Its class and the classes above, nearest first, as `class_text` writes them.
        label: Label.
        doc: Docstring of its class.
        parameters: Its parameters.
        functions: Its QCoDeS functions.
        methods: Its public methods.
        attributes: Names of its public attributes that are none of the above.
        aliases: Attributes that are other names of a part of the same instrument, and the addresses of the parts.
        submodules: Name under which each submodule was added, and its path.
        channel_lists: Its channel lists.
        order: Names of submodules and channel lists, in the order in which they were added.
        special: Special methods that the driver's class defines.
        logger_name: Name of its logger.
    """

    path: str
    parent: str
    name: str
    classes: list[str]
    label: str | None
    doc: str | None
    parameters: list[ParameterSchema]
    functions: list[FunctionSchema]
    methods: list[MethodSchema]
    attributes: list[str]
    aliases: list[tuple[str, str]]
    submodules: list[tuple[str, str]]
    channel_lists: list[ChannelListSchema]
    order: list[str]
    special: list[str]
    logger_name: str

    @property
    def class_name(self) -> str:
        """The name of its class alone."""
        return self.classes[0].rpartition(":")[2].rpartition(".")[2]


class PartSchema(NamedTuple):
    """A part that a driver keeps without having added it to the instrument.

    Attributes:
        parent: Path of the module that it names as its own, "" if there is none.
        parameter: Its schema if it is a parameter.
        modules: Its schema, and of those below it, if it is a module or channel.
        channels: Its schema if it is a channel tuple or list.
    """

    parent: str
    parameter: ParameterSchema | None
    modules: list[ModuleSchema]
    channels: ChannelListSchema | None


class InstrumentSchema(NamedTuple):
    """A whole instrument.

    Attributes:
        version: Number of the latest change of its tree; no two changes have the same.
        modules: The instrument itself first, then every module and channel, parents before children.
    """

    version: int
    modules: list[ModuleSchema]
