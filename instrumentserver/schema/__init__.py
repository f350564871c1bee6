"""What an instrument looks like, as values: the message from which a proxy is built."""

from .description import (
    ChannelListSchema,
    FunctionSchema,
    InstrumentSchema,
    MethodSchema,
    ModuleSchema,
    ParameterSchema,
    SignatureSchema,
)
from .validators import VALIDATOR_CODE, validator_extension

__all__ = [
    "VALIDATOR_CODE",
    "ChannelListSchema",
    "FunctionSchema",
    "InstrumentSchema",
    "MethodSchema",
    "ModuleSchema",
    "ParameterSchema",
    "SignatureSchema",
    "validator_extension",
]
