"""Simulated laboratory: a voltage source, a double quantum dot, a meter, a Time Tagger, a laser.

The drivers need no hardware. Wired up, they are the usual experiment on
a double quantum dot: `Dac` sets the gate voltages, `Dot` answers with a
current, `Dmm` digitises it. Beside them stand `RandomWalk`, a quantity that
changes by itself, `MoonLaser`, the giant laser on the moon, and
`TimeTaggerInstrument`, the driver of a Time Tagger over its SDK: the real
one, or the simulated one in `instruments.time_tagger`.
"""

from instruments.dac import Dac, DacChannel
from instruments.dmm import Dmm
from instruments.dot import Dot
from instruments.moon_laser import MoonLaser
from instruments.random_walk import RandomWalk
from instruments.time_tagger_driver import TimeTaggerInstrument

__all__ = ["Dac", "DacChannel", "Dmm", "Dot", "MoonLaser", "RandomWalk", "TimeTaggerInstrument"]
