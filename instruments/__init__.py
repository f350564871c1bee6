"""Simulated laboratory: a voltage source, a double quantum dot and a meter.

The drivers need no hardware. Wired up, they are the usual experiment on
a double quantum dot: `Dac` sets the gate voltages, `Dot` answers with a
current, `Dmm` digitises it. Beside them stands `RandomWalk`, a quantity that
changes by itself.
"""

from instruments.dac import Dac, DacChannel
from instruments.dmm import Dmm
from instruments.dot import Dot
from instruments.random_walk import RandomWalk

__all__ = ["Dac", "DacChannel", "Dmm", "Dot", "RandomWalk"]
