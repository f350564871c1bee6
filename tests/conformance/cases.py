"""Which instruments the conformance tests look at, and how each is made."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "KINDS", "MOCKS", "OURS", "VISA", "Base", "Case"]


@dataclass(frozen=True)
class Base:
    """An argument that is a part of another instrument, which is made first.

    Attributes:
        cls: Its class, ``module:name``.
        name: Its name.
        path: Which part of it is meant, "" for the instrument itself.
        kwargs: What its constructor gets by keyword.
    """

    cls: str
    name: str
    path: str = ""
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """An instrument, and what the tests have to know of it.

    Attributes:
        name: Name of the case, and of the instrument.
        cls: Its class, ``module:name``.
        args: What the constructor gets after the name; may contain `Base`, also in lists.
        kwargs: What it gets by keyword, likewise.
        random: Patterns of names of parameters whose values are different each time.
        silent: Patterns of names of parameters that the simulation does not answer for: reading one ends
            with a time-out.
        unset: Patterns of names of parameters that are not set, for a set takes long in the simulation.
        calls: Methods to call: path, then positional arguments.
        asks: What a VISA instrument is asked.
    """

    name: str
    cls: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    calls: tuple[tuple[Any, ...], ...] = ()
    asks: tuple[str, ...] = ()

    @property
    def driver(self) -> type:
        """The class itself."""
        return find_class(self.cls)


def find_class(text: str) -> type:
    """Return a class by ``module:name``."""
    module, _, name = text.partition(":")
    cls: type = getattr(importlib.import_module(module), name)
    return cls


_KNOWLEDGE = ("random", "silent", "unset", "calls", "asks")


def _case(cls: str, name: str, *args: Any, **more: Any) -> Case:
    """Return a case; what is not knowledge about it is for the constructor."""
    known = {key: more.pop(key) for key in _KNOWLEDGE if key in more}
    return Case(name, cls, args, more, **known)


def _mock(cls: str, name: str, **more: Any) -> Case:
    return _case(f"{_MOCK}:{cls}", name, **more)


def _visa(cls: str, name: str, sim: str, address: str = "GPIB::1::INSTR", **more: Any) -> Case:
    more = {"asks": ("*IDN?", "no such command?", ""), "address": address, "pyvisa_sim_file": sim, **more}
    return _case(f"qcodes.instrument_drivers.{cls}", name, **more)


def _coil(axis: str, number: int) -> Base:
    settings = {"address": f"GPIB::{number}::INSTR", "pyvisa_sim_file": "AMI430.yaml", "terminator": "\n"}
    return Base("qcodes.instrument_drivers.american_magnetics:AMIModel430", f"coil_{axis}", kwargs=settings)


_MOCK = "qcodes.instrument_drivers.mock_instruments"
_NOISY_ARRAYS = ("*dummy_parameter_with_setpoints*",)
"""Of `DummyChannel`: random arrays."""

_CALLS = (
    ("fit",),
    ("fit", [1, 2], "mode", (1, 2), 3, 4),
    ("add", 1),
    ("add",),
    ("model", "!"),
    ("overheat", 300.0),
    ("warned",),
    ("old",),
    ("printed", "one\ntwo"),
    ("itself",),
    ("parts",),
    ("five",),
    ("plus_x", 2.0),
    ("half", 3.0),
    ("bays.bump", 0.5),
    ("bays.fire",),
    ("bays.arm", 3),
    ("bays.arm", 9),
    ("front.bump",),
)

MOCKS = (
    _mock("DummyBase", "base"),
    _mock("MockParabola", "parabola"),
    _mock("DummyInstrument", "dummy", gates=["dac1", "dac2"]),
    _mock("DummyFailingInstrument", "unfailing", fail=False),
    _mock("DummyAttrInstrument", "attr"),
    _mock(
        "DummyInstrumentWithMeasurement",
        "measuring",
        setter_instr=Base(f"{_MOCK}:DummyInstrument", "setter"),
        random=("v1", "v2"),
    ),
    _mock(
        "DummyChannelInstrument",
        "channels",
        channel_names=["A", "B"],
        random=_NOISY_ARRAYS,
        calls=(("A.turn_on",),),
    ),
    _mock("DummyChannelOnlyInstrument", "only_channels", random=_NOISY_ARRAYS),
    _mock("SnapShotTestInstrument", "skipping", params_to_skip=["v2"]),
    _mock("MockField", "field", calls=(("get_field",), ("set_field", 0.0))),
    _mock("MockLockin", "lockin"),
    _mock("MockDAC", "mdac", num_channels=3, calls=(("channels.channel_number",), ("ch01.channel_number",))),
)
OURS = (
    _case("instruments:Dac", "dac", channels=3, calls=(("zero",), ("history",), ("ch1.zero",))),
    _case("instruments:Dmm", "dmm", Base("instruments:Dac", "source", "ch1.v"), noise=0.0),
    _case(
        "instruments:Dot",
        "dot",
        [Base("instruments:Dac", "source", "ch1.v"), Base("instruments:Dac", "source", "ch2.v")],
        noise=0.0,
        calls=(("electrons",),),
    ),
    _case(
        "meta:Gates",
        "gates",
        instruments=[Base("instruments:Dac", "source", "ch1"), Base("instruments:Dac", "source", "ch2")],
        parameter="v",
        calls=(("setBoth", 0.5), ("setBothAsync", 0.25)),
    ),
    _case("drivers:Plain", "plain", offset=0.5, calls=(("add", 1, 2), ("fail", 3), ("say", "hello"))),
    _case("drivers:Growing", "growing", calls=(("add_channel",), ("chans.twice",))),
    _case("drivers:Digitizer", "digitizer"),
    _case("drivers:Rack", "rack", calls=(("bank.total",),)),
    _case("drivers:Validating", "validating"),
    _case("drivers:Holder", "holder", held={"a": [1, None]}, calls=(("held_kind",),)),
)
KINDS = (
    _case("conformance.kinds:Kinds", "kinds", random=("elapsed",), calls=(("calibrated.calibrate", 3.0),)),
    _case("conformance.behaving:Acting", "acting", calls=_CALLS),
    _case("conformance.behaving:Colliding", "colliding", calls=(("refresh",), ("apply", 3))),
    _case("conformance.checking:Checking", "checking"),
)
VISA = (
    _visa("american_magnetics:AMIModel430", "ami430", "AMI430.yaml", terminator="\n"),
    _case(
        "qcodes.instrument_drivers.american_magnetics:AMIModel4303D",
        "ami430_3d",
        *(_coil(axis, number) for number, axis in enumerate("xyz", 1)),
        field_limit=1.0,
    ),
    _visa(
        "CopperMountain:CopperMountainM5065",
        "m5065",
        "CopperMountain_M5065.yaml",
        "TCPIP0::localhost::hislip0::INSTR",
    ),
    _visa("Keithley:Keithley2450", "k2450", "Keithley_2450.yaml"),
    _visa("Keithley:Keithley2450", "k2450_wrong_mode", "Keithley_2450.yaml", "GPIB::2::INSTR"),
    _visa("Keithley:Keithley3706A", "k3706a", "Keithley_3706A.yaml", "GPIB::11::INSTR"),
    _visa("Keithley:KeithleyS46", "s46", "Keithley_s46.yaml", "GPIB::2::INSTR"),
    _visa("Keithley:Keithley7510", "k7510", "keithley_7510.yaml"),
    _visa("Keysight:Keysight33522B", "k33522b", "Keysight_33xxx.yaml"),
    _visa("Keysight:Keysight34465A", "k34465a", "Keysight_34465A.yaml"),
    _visa("Keysight:KeysightE4980A", "e4980a", "Keysight_E4980A.yaml"),
    _visa("Keysight:KeysightN6705B", "n6705b", "Keysight_N6705B.yaml"),
    _visa("Keysight:KeysightN9030B", "n9030b", "Keysight_N9030B.yaml"),
    _visa("Keysight:Keysight34980A", "k34980a", "keysight_34980A.yaml"),
    _visa(
        "Keysight:KeysightB1500",
        "b1500",
        "keysight_b1500.yaml",
        silent=("voltage_?c", "frequency", "capacitance", "run_iv*"),
    ),
    _visa("Keysight:KeysightB220X", "b220x", "keysight_b220x.yaml"),
    _visa("oxford:OxfordMercuryiPS", "mercury", "MercuryiPS.yaml", unset=("*ramp",)),
    _visa("rohde_schwarz:RohdeSchwarzSGS100A", "sgs100a", "RSSGS100A.yaml"),
    _visa("rohde_schwarz:RohdeSchwarzRTO1000", "rto", "RTO_1000.yaml", model="RTO1024"),
    _visa("rigol:RigolDS1074Z", "ds1074z", "Rigol_DS1074Z.yaml"),
    _visa("tektronix:TektronixAWG5014", "awg5014", "Tektronix_AWG5014C.yaml", terminator="\n"),
    _visa("tektronix:TektronixAWG70002A", "awg70002a", "Tektronix_AWG70000A.yaml"),
    _visa("weinschel:Weinschel8320", "weinschel", "Weinschel_8320.yaml"),
    _visa("yokogawa:YokogawaGS200", "gs200", "Yokogawa_GS200.yaml"),
    _visa(
        "cryomagnetics:CryomagneticsModel4G",
        "cryo4g",
        "cryo4g.yaml",
        asks=("*IDN?",),
        max_current_limits={0: (0.0, 0.0)},
        coil_constant=10.0,
    ),
    _visa("cryomagnetics:CryomagneticsModelTM620", "tm620", "cryo_tm620.yaml", "GPIB0::1::INSTR"),
    _visa(
        "Lakeshore:LakeshoreModel335",
        "ls335",
        "lakeshore_model335.yaml",
        "GPIB::2::INSTR",
        unset=("setpoint",),
    ),
    _visa("stahl:Stahl", "stahl", "stahl.yaml", "ASRL3"),
)
"""Drivers of QCoDeS with the simulations that QCoDeS ships.

Not here, since the simulation does not do, locally either: AimTTi PL601P, Keithley 2600 and Lakeshore 372, where tens
of readings end with a time-out, some of 5 s; Tektronix DPO7200, whose statistics wait; the Keithley S46 at other
addresses, which refuses to be used. Not here, since a sibling is: CopperMountain M5180, Lakeshore 336, Tektronix
AWG5208 and AWG70001A.
"""
CASES = (*MOCKS, *OURS, *KINDS, *VISA)
