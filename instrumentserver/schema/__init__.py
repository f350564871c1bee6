"""What an instrument looks like, as values: the message from which a proxy is built."""

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
from .validators import VALIDATOR_CODE, bind_sizes, validator_extension
from .vectors import vector_extension

__all__ = [
    "SPECIAL_METHODS",
    "VALIDATOR_CODE",
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
    "bind_sizes",
    "validator_extension",
    "vector_extension",
]
