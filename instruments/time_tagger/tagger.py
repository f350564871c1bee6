"""The Time Tagger itself: its inputs and what is set there."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from instruments.time_tagger.enums import CHANNEL_UNUSED, ChannelEdge, Resolution
from instruments.time_tagger.inputs import CLOCK_PERIOD, InputSettings
from instruments.time_tagger.numbers import integer
from instruments.time_tagger.stream import Stream

if TYPE_CHECKING:
    from instruments.time_tagger.measurement import IteratorBase

MODEL: Final = "Time Tagger Ultra (simulated)"
"""Model of the simulated devices."""

LEVELS: Final = (-2.5, 2.5)
"""Lowest and highest trigger level, V."""

DEAD_TIMES: Final = (CLOCK_PERIOD, 2_147_000_000)
"""Shortest and longest dead time, ps."""


class TimeTaggerBase:
    """What a measurement needs of a Time Tagger: its stream of tags.

    Made by `createTimeTagger` and `SynchronizedMeasurements.getTagger`. Channel
    numbers are those of the inputs, 1 to 8; their negatives are the falling
    edges. Any number of threads may use it. Every method raises RuntimeError
    after the tagger was freed, and ValueError for a channel that does not
    exist. Names are those of the vendor's documentation, "Time Tagger classes".
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def getInvertedChannel(self, channel: int) -> int:
        """Tell the number of the other edge of an input; `CHANNEL_UNUSED` for virtual channels."""
        with self._stream.use():
            self._stream.channel(channel)
            return -channel if channel in self._stream.inputs.edges() else CHANNEL_UNUSED

    def isUnusedChannel(self, channel: int) -> bool:
        """Tell whether a number is `CHANNEL_UNUSED`."""
        return channel == CHANNEL_UNUSED

    def setInputDelay(self, channel: int, delay: int) -> None:
        """Shift all tags of an edge.

        Args:
            channel: Number of the edge.
            delay: How much later, ps; negative for earlier.
        """
        shift = integer("delay", delay)
        with self._stream.changing():
            self._edge(channel)
            self._stream.inputs.set_delay(channel, shift)

    def getInputDelay(self, channel: int) -> int:
        """Tell the delay of an edge, ps."""
        with self._stream.use():
            return self._edge(channel).delays[channel]

    def setDeadtime(self, channel: int, deadtime: int) -> int:
        """Choose how long an edge is blind after a tag.

        Args:
            channel: Number of the edge.
            deadtime: How long, ps, within `getDeadtimeRange`.

        Returns:
            The dead time that is set, ps.

        Raises:
            ValueError: Out of range.
        """
        time = integer("deadtime", deadtime)
        if not DEAD_TIMES[0] <= time <= DEAD_TIMES[1]:
            raise ValueError(
                f"a dead time of {time} ps is outside {DEAD_TIMES[0]} to {DEAD_TIMES[1]} ps; choose one inside"
            )
        with self._stream.changing():
            self._edge(channel).dead_times[channel] = time
            return time

    def getDeadtime(self, channel: int) -> int:
        """Tell the dead time of an edge, ps."""
        with self._stream.use():
            return self._edge(channel).dead_times[channel]

    def getDeadtimeRange(self, channel: int) -> tuple[int, int]:
        """Tell the shortest and the longest dead time of an edge, ps."""
        with self._stream.use():
            self._edge(channel)
            return DEAD_TIMES

    def setEventDivider(self, channel: int, divider: int) -> None:
        """Let only every n-th tag of an edge through, after its dead time.

        Args:
            channel: Number of the edge.
            divider: n, dimensionless, 1 to 65535.

        Raises:
            ValueError: Out of range.
        """
        number = _divider(divider)
        with self._stream.changing():
            self._edge(channel).dividers[channel] = number

    def getEventDivider(self, channel: int) -> int:
        """Tell the divider of the tags of an edge, dimensionless."""
        with self._stream.use():
            return self._edge(channel).dividers[channel]

    def getOverflows(self) -> int:
        """Tell how often tags were lost since `clearOverflows`, dimensionless.

        The simulation loses tags when no measurement is looked at for 10 s.
        """
        with self._stream.use():
            return self._stream.overflows

    def clearOverflows(self) -> None:
        """Set the number of overflows to 0."""
        self.getOverflowsAndClear()

    def getOverflowsAndClear(self) -> int:
        """Tell the number of overflows, dimensionless, and set it to 0."""
        with self._stream.use():
            overflows, self._stream.overflows = self._stream.overflows, 0
            return overflows

    def sync(self, timeout: int = -1) -> bool:
        """Make sure that what comes next has only tags from after this call.

        Args:
            timeout: Longest time to block, ms; the simulation never blocks.

        Returns:
            Whether it was done: True.
        """
        with self._stream.use():
            return True

    def getConfiguration(self) -> dict[str, Any]:
        """Tell all settings and the measurements that exist, plain values by name."""
        with self._stream.use():
            measurements = [measurement.getConfiguration() for measurement in self._stream.consumers]
            return {"measurements": measurements}

    def _enrol(self, measurement: IteratorBase) -> bool:
        """Take a new measurement in; return whether it starts at once."""
        return True

    def _free(self) -> None:
        """End the stream for everybody."""
        self._stream.free()

    def _edge(self, channel: int) -> InputSettings:
        if channel not in self._stream.inputs.edges():
            inputs = len(self._stream.inputs.settings)
            raise ValueError(
                f"channel {channel} is no input; choose 1 to {inputs}, or -1 to {-inputs} for falling edges"
            )
        return self._stream.inputs.settings[abs(channel)]


class TimeTagger(TimeTaggerBase):
    """A simulated Time Tagger with 8 inputs; `createTimeTagger` makes it.

    As context manager it frees itself. It is freed, too, when nobody holds it
    or a measurement on it any more.
    """

    def __init__(self, stream: Stream, resolution: Resolution) -> None:
        super().__init__(stream)
        self._resolution = resolution

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._stream.is_freed:
            self._stream.free()

    def getSerial(self) -> str:
        """Tell the serial number."""
        with self._stream.use():
            return self._stream.serial

    def getModel(self) -> str:
        """Tell the name of the model; it says that it is simulated."""
        with self._stream.use():
            return MODEL

    def getPcbVersion(self) -> str:
        """Tell the version of the circuit board; it says that it is simulated."""
        with self._stream.use():
            return "simulated"

    def getFirmwareVersion(self) -> str:
        """Tell the version of the firmware; it says that it is simulated."""
        return self.getPcbVersion()

    def getSensorData(self) -> dict[str, Any]:
        """Tell the readings of the sensors on the board, plain values by name."""
        with self._stream.use():
            return {"board": {"temperature": 42.0, "unit": "degC"}}

    def getPsPerClock(self) -> int:
        """Tell the period of the internal clock, ps."""
        with self._stream.use():
            return CLOCK_PERIOD

    def getChannelList(self, type: ChannelEdge = ChannelEdge.All) -> list[int]:
        """List the channels of the inputs.

        Args:
            type: Edges and modes to list. All inputs are of one mode: HighRes
                if the tagger was made with such a resolution.
        """
        with self._stream.use():
            kind = ChannelEdge(type)
            mode = ChannelEdge.HighResAll if self._resolution else ChannelEdge.StandardAll
            modes = kind & (ChannelEdge.HighResAll | ChannelEdge.StandardAll)
            if modes and not modes & mode:
                return []
            edges = kind & (ChannelEdge.Rising | ChannelEdge.Falling)
            wanted = edges or ChannelEdge.Rising | ChannelEdge.Falling
            return [
                edge
                for edge in self._stream.inputs.edges()
                if wanted & (ChannelEdge.Rising if edge > 0 else ChannelEdge.Falling)
            ]

    def setTriggerLevel(self, channel: int, voltage: float) -> None:
        """Choose the voltage at which an input sees an edge.

        Pulses of the simulated detectors are 1 V high, give or take 0.1 V: a
        level above loses them, a level at 0 V or below sees none.

        Args:
            channel: Number of the input.
            voltage: Level, V, -2.5 to 2.5.

        Raises:
            ValueError: Out of range.
        """
        level = float(voltage)
        if not LEVELS[0] <= level <= LEVELS[1]:
            raise ValueError(f"a trigger level of {level:g} V is outside -2.5 to 2.5 V; choose one inside")
        with self._stream.changing():
            self._edge(channel).trigger_level = level

    def getTriggerLevel(self, channel: int) -> float:
        """Tell the trigger level of an input, V."""
        with self._stream.use():
            return self._edge(channel).trigger_level

    def getTriggerLevelRange(self, channel: int) -> tuple[float, float]:
        """Tell the lowest and the highest trigger level of an input, V."""
        with self._stream.use():
            self._edge(channel)
            return LEVELS

    def getDACRange(self) -> tuple[float, float]:
        """Tell the lowest and the highest trigger level of all inputs, V."""
        with self._stream.use():
            return LEVELS

    def setTestSignal(self, channel: int | Sequence[int], enabled: bool) -> None:
        """Connect inputs to the internal test signal, in place of their detectors.

        It is one signal for all inputs, of 800 kHz after a reset, so that two
        inputs are correlated within their jitter of 9 ps rms each.

        Args:
            channel: Number of an input, or several.
            enabled: Whether to connect.
        """
        channels = channel if isinstance(channel, (list, tuple, range)) else [channel]
        with self._stream.changing():
            for settings in [self._edge(integer("channel", number)) for number in channels]:
                settings.test_signal = bool(enabled)

    def getTestSignal(self, channel: int) -> bool:
        """Tell whether an input is connected to the test signal."""
        with self._stream.use():
            return self._edge(channel).test_signal

    def setTestSignalDivider(self, divider: int) -> None:
        """Choose the frequency of the test signal.

        Args:
            divider: The frequency is 403.2 MHz over this, dimensionless, 1 to 65535.

        Raises:
            ValueError: Out of range.
        """
        number = _divider(divider)
        with self._stream.changing():
            self._stream.inputs.test_divider = number

    def getTestSignalDivider(self) -> int:
        """Tell the divider of the test signal, dimensionless."""
        with self._stream.use():
            return self._stream.inputs.test_divider

    def reset(self) -> None:
        """Set all inputs back to the settings of the start; measurements go on."""
        with self._stream.changing():
            self._stream.inputs.reset()
            self._stream.overflows = 0

    def getConfiguration(self) -> dict[str, Any]:
        """Tell serial, model, inputs and measurements, plain values by name."""
        with self._stream.use():
            inputs = [
                {
                    "channel": channel,
                    "trigger level": settings.trigger_level,
                    "input delay": settings.delays[channel],
                    "deadtime": settings.dead_times[channel],
                    "event divider": settings.dividers[channel],
                    "test signal": settings.test_signal,
                }
                for channel, settings in self._stream.inputs.settings.items()
            ]
            return {
                "serial": self._stream.serial,
                "model": MODEL,
                "resolution": self._resolution.name,
                "test signal divider": self._stream.inputs.test_divider,
                "inputs": inputs,
                **super().getConfiguration(),
            }


def _divider(divider: int) -> int:
    number = integer("divider", divider, 1)
    if number > 65535:
        raise ValueError(f"a divider of {number} is too large; choose 1 to 65535")
    return number
