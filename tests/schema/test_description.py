from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import pytest
from qcodes import validators as qc

from instrumentserver import schema
from instrumentserver.schema import (
    ChannelListSchema,
    FunctionSchema,
    InstrumentSchema,
    MethodSchema,
    ModuleSchema,
    ParameterSchema,
    SignatureSchema,
    validator_extension,
)
from instrumentserver.schema.description import ArgumentSchema
from instrumentserver.wire.codec import Codec

ARGUMENT = ArgumentSchema("times", inspect.Parameter.KEYWORD_ONLY.value, True, (1, None), None, "int")
METHOD = MethodSchema("read", "Read it.", SignatureSchema([ARGUMENT], "float"), True)
PARAMETER = ParameterSchema(
    name="v",
    classes=["qcodes.parameters.parameter:Parameter"],
    label="Voltage",
    unit="V",
    doc=None,
    gettable=True,
    settable=False,
    register_name="dac_v",
    snapshot_value=True,
    snapshot_exclude=False,
    attributes=["scale"],
    methods=[METHOD],
    extras={"setpoints": ({"shape": (3,)},)},
    names_instrument=False,
    relations=["depends_on"],
    unpacks_itself=True,
    special=["__str__"],
    lent_by="",
)
MODULE = ModuleSchema(
    path="dac.ch1",
    parent="dac",
    name="ch1",
    classes=["drivers:Channel"],
    label="Channel",
    doc="A channel.",
    parameters=[PARAMETER],
    functions=[FunctionSchema("echo", None, [])],
    methods=[METHOD],
    attributes=["gain"],
    aliases=[("volt", "unix:foo/dac.ch1.v")],
    submodules=[("a", "dac.ch1.a")],
    channel_lists=[
        ChannelListSchema("outs", "outs", [], [], ["dac.ch1.out0"], True, False, [], [METHOD], ["size"])
    ],
    order=["outs"],
    special=[],
    logger_name="qcodes.instrument.instrument_base",
)
INSTRUMENT = InstrumentSchema(3, [MODULE, MODULE._replace(path="dac.ch2")])


def journey(value: Any) -> Any:
    message, _ = Codec([validator_extension()]).encode(value)
    return Codec([validator_extension()]).decode(message)


@pytest.mark.parametrize(
    "part", [ARGUMENT, METHOD, PARAMETER, MODULE, INSTRUMENT], ids=lambda part: type(part).__name__
)
def test_a_schema_arrives_as_it_left(part: NamedTuple) -> None:
    arrived = journey(part)

    assert arrived == part
    assert type(arrived) is type(part)


def test_the_parts_of_a_schema_are_of_their_classes() -> None:
    arrived: InstrumentSchema = journey(INSTRUMENT)

    assert type(arrived.modules[0].parameters[0].methods[0].signature) is SignatureSchema
    assert type(arrived.modules[0].submodules[0]) is tuple


def test_the_validators_of_a_function_arrive_with_it() -> None:
    arrived = journey(FunctionSchema("echo", None, [qc.Numbers(0, 10)]))

    assert repr(arrived.validators[0]) == repr(qc.Numbers(0, 10))


def test_a_large_instrument_arrives_as_it_left() -> None:
    large = InstrumentSchema(1, [MODULE._replace(path=f"dac.ch{number}") for number in range(300)])

    assert journey(large) == large


@pytest.mark.parametrize("name", schema.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert hasattr(schema, name)
