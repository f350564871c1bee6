"""What an instrument looks like, as values: the message from which a proxy is built."""

from .channel_values import refine, to_data, to_value
from .channels import ChannelSchema, ChannelType
from .description import (
    SPECIAL_METHODS,
    ChannelListSchema,
    ClassSchema,
    FunctionSchema,
    HeldSchema,
    InstrumentSchema,
    LoggerSchema,
    MethodSchema,
    ModuleSchema,
    ObjectSchema,
    ParameterSchema,
    PartSchema,
    SignatureSchema,
)
from .objects import (
    ASYNC_SPECIALS,
    OBJECT_SPECIALS,
    ObjectClassSchema,
    ObjectMethodSchema,
    ObjectPropertySchema,
)
from .subscribing import SubscribeOptions
from .validators import VALIDATOR_CODE, bind_sizes, validator_extension
from .vectors import vector_extension

__all__ = [
    "ASYNC_SPECIALS",
    "OBJECT_SPECIALS",
    "SPECIAL_METHODS",
    "VALIDATOR_CODE",
    "ChannelListSchema",
    "ChannelSchema",
    "ChannelType",
    "ClassSchema",
    "FunctionSchema",
    "HeldSchema",
    "InstrumentSchema",
    "LoggerSchema",
    "MethodSchema",
    "ModuleSchema",
    "ObjectClassSchema",
    "ObjectMethodSchema",
    "ObjectPropertySchema",
    "ObjectSchema",
    "ParameterSchema",
    "PartSchema",
    "SignatureSchema",
    "SubscribeOptions",
    "bind_sizes",
    "refine",
    "to_data",
    "to_value",
    "validator_extension",
    "vector_extension",
]
