"""Simulated voltage source with several channels on one text line."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Final

from qcodes.instrument import ChannelTuple, InstrumentChannel
from qcodes.parameters import Parameter
from qcodes.validators import Numbers

from instrumentserver import Instrument

LIMIT: Final = 10.0
"""Largest output voltage of either sign, V."""

MAX_CHANNELS: Final = 64
"""Most channels that one source has."""

HISTORY: Final = 1000
"""Commands that the line remembers; the oldest are dropped."""


class DacLine:
    """Simulated hardware: output voltages behind a line of text commands.

    Any thread may call it. One command is executed at a time, as on a serial
    bus: a second thread waits until the first command has finished.

    Args:
        channels: Number of outputs, dimensionless. All are at 0 V at first.
        settle: Time that every change of a voltage takes, seconds.
    """

    def __init__(self, channels: int, settle: float) -> None:
        self._volts = dict.fromkeys(range(1, channels + 1), 0.0)
        self._rates = dict.fromkeys(range(1, channels + 1), 0.0)
        self._settle = settle
        self._lock = threading.Lock()
        self._history: deque[str] = deque(maxlen=HISTORY)

    def execute(self, command: str) -> str:
        """Execute one command, blocking until the output has settled.

        Args:
            command: `VOLT n,value` in V or `SLOP n,value` in V/s for channel
                n = 1, 2, ...; or `VOLT? n` or `SLOP? n`.

        Returns:
            The value asked for, in V or V/s; the empty string for a setting.

        Raises:
            ValueError: The command or a number in it is malformed, or there
                is no channel n. Nothing is changed.
        """
        with self._lock:
            self._history.append(command)
            match command.replace(",", " ").split():
                case ["VOLT", channel, volts]:
                    self._change(self._number(channel), float(volts))
                    return ""
                case ["VOLT?", channel]:
                    return repr(self._volts[self._number(channel)])
                case ["SLOP", channel, rate]:
                    self._rates[self._number(channel)] = float(rate)
                    return ""
                case ["SLOP?", channel]:
                    return repr(self._rates[self._number(channel)])
        raise ValueError(f"the source does not know {command!r}; it knows VOLT, VOLT?, SLOP and SLOP?")

    def history(self) -> list[str]:
        """Copy out the last commands, oldest first, at most `HISTORY`."""
        with self._lock:
            return list(self._history)

    def _number(self, channel: str) -> int:
        number = int(channel)
        if number not in self._volts:
            raise ValueError(f"the source has no channel {number}; it has 1 to {len(self._volts)}")
        return number

    def _change(self, channel: int, volts: float) -> None:
        rate = self._rates[channel]
        ramp = abs(volts - self._volts[channel]) / rate if rate else 0.0
        # Even sleep(0) gives the processor away, which costs more than the whole command.
        if duration := self._settle + ramp:
            time.sleep(duration)
        self._volts[channel] = volts


class DacChannel(InstrumentChannel):
    """One output of the voltage source.

    Args:
        parent: The source.
        name: Name of the channel within the source.
        number: Number of the output on the line, 1, 2, ...

    Attributes:
        v: Output voltage, V, -10 to 10. A set blocks until the output has
            settled.
        ramp_rate: Speed of a voltage change, V/s; 0 jumps.
    """

    def __init__(self, parent: Dac, name: str, number: int) -> None:
        super().__init__(parent, name)
        self.v: Parameter = self.add_parameter(
            "v",
            label=f"Channel {number} voltage",
            unit="V",
            vals=Numbers(-LIMIT, LIMIT),
            # 17 digits carry every float64 unchanged over a line of text.
            set_cmd=f"VOLT {number},{{:.17g}}",
            get_cmd=f"VOLT? {number}",
            get_parser=float,
            docstring="Output voltage, V. A set blocks for the ramp and the settling time.",
        )
        self.ramp_rate: Parameter = self.add_parameter(
            "ramp_rate",
            label=f"Channel {number} ramp rate",
            unit="V/s",
            vals=Numbers(0, 1e6),
            set_cmd=f"SLOP {number},{{:.17g}}",
            get_cmd=f"SLOP? {number}",
            get_parser=float,
            docstring="Speed at which the source changes the voltage, V/s; 0 jumps.",
        )

    def zero(self) -> None:
        """Set the output to 0 V, blocking for the ramp and the settling."""
        self.v.set(0.0)


class Dac(Instrument):
    """Simulated voltage source, one `DacChannel` per output.

    The channels are the submodules `ch1`, `ch2`, ... and, in this order, the
    tuple `channels`. All outputs are at 0 V after power-on. Any thread may
    call it; the commands queue for the one line to the source.

    Args:
        name: Name of the instrument.
        channels: Number of outputs, 1 to 64.
        settle: Time that every change of a voltage takes, seconds.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Raises:
        ValueError: `channels` or `settle` is out of range.
    """

    def __init__(self, name: str, channels: int = 4, settle: float = 0.0, **kwargs: Any) -> None:
        if not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(f"{name}: {channels} channels; choose 1 to {MAX_CHANNELS}")
        if settle < 0:
            raise ValueError(f"{name}: a settling time of {settle:g} s is negative; choose 0 s or more")
        super().__init__(name, **kwargs)
        self._line = DacLine(channels, settle)
        outputs = [DacChannel(self, f"ch{number}", number) for number in range(1, channels + 1)]
        for output in outputs:
            self.add_submodule(output.short_name, output)
        # The channels are in the snapshot under their own names already.
        self.channels: ChannelTuple[DacChannel] = self.add_submodule(
            "channels", ChannelTuple(self, "channels", DacChannel, outputs, snapshotable=False)
        )

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of the simulated source."""
        return {"vendor": "instrumentserver", "model": "Dac", "serial": self.name, "firmware": "simulated"}

    def write_raw(self, cmd: str) -> None:
        """Send one setting to the source, blocking until it is executed.

        Args:
            cmd: A command as `DacLine.execute` takes it.

        Raises:
            ValueError: The source refuses the command.
        """
        self._line.execute(cmd)

    def ask_raw(self, cmd: str) -> str:
        """Send one query to the source.

        Args:
            cmd: A command as `DacLine.execute` takes it.

        Returns:
            The answer of the source, V or V/s.

        Raises:
            ValueError: The source refuses the command.
        """
        return self._line.execute(cmd)

    def zero(self) -> None:
        """Set every output to 0 V, one after the other.

        Blocks for the ramps and settling times of all channels. After a
        failure the channels before the failing one are at 0 V, the others
        unchanged.
        """
        for channel in self.channels:
            channel.zero()

    def history(self) -> list[str]:
        """List what the line has executed, oldest first, refused ones included.

        Returns:
            The last commands since power-on, at most 1000, shape (n,).
        """
        return self._line.history()
