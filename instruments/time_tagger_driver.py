"""QCoDeS driver of a Time Tagger, real or simulated, by way of its SDK."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from qcodes.instrument import ChannelList, InstrumentChannel
from qcodes.parameters import Parameter, ParameterWithSetpoints
from qcodes.validators import Arrays, Bool, Enum, Ints, Numbers

from instrumentserver import Instrument, UsageError

logger = logging.getLogger(__name__)

PS: Final = 1e12
"""Picoseconds in a second, dimensionless."""

SIMULATED: Final = "instruments.time_tagger"
"""SDK that needs no hardware."""


class TimeTaggerInput(InstrumentChannel):
    """One input of a Time Tagger.

    Args:
        parent: The instrument.
        name: Name of the input, such as `ch1`.
        number: Its number, dimensionless.

    Attributes:
        count_rate: Counts per time over `integration_time`, Hz.
        trigger_level: Voltage at which a pulse counts, V.
        input_delay: Shift of all its tags, s.
        dead_time: Time after a tag without another, s.
        test_signal: Whether the internal test signal replaces the input.
    """

    def __init__(self, parent: TimeTaggerInstrument, name: str, number: int) -> None:
        super().__init__(parent, name)
        self._number = number
        self._owner = parent
        tagger = parent.tagger
        self.count_rate: Parameter = self.add_parameter(
            "count_rate",
            label=f"Count rate of input {number}",
            unit="Hz",
            get_cmd=self._get_count_rate,
            snapshot_get=False,
            docstring="Counts per time, Hz. Every get counts anew for the integration time.",
        )
        self.trigger_level: Parameter = self.add_parameter(
            "trigger_level",
            label=f"Trigger level of input {number}",
            unit="V",
            vals=Numbers(*tagger.getTriggerLevelRange(number)),
            get_cmd=lambda: tagger.getTriggerLevel(number),
            set_cmd=lambda level: tagger.setTriggerLevel(number, level),
            docstring="Voltage at which the rising edge of a pulse counts, V.",
        )
        self.input_delay: Parameter = self._add_time(
            "input_delay", "Delay", Numbers(-1, 1), tagger.getInputDelay, tagger.setInputDelay
        )
        shortest, longest = tagger.getDeadtimeRange(number)
        self.dead_time: Parameter = self._add_time(
            "dead_time",
            "Dead time",
            Numbers(shortest / PS, longest / PS),
            tagger.getDeadtime,
            tagger.setDeadtime,
        )
        self.test_signal: Parameter = self.add_parameter(
            "test_signal",
            label=f"Test signal on input {number}",
            vals=Bool(),
            get_cmd=lambda: tagger.getTestSignal(number),
            set_cmd=lambda enabled: tagger.setTestSignal(number, enabled),
            docstring="Whether the internal test signal replaces the input; dimensionless.",
        )

    def _add_time(
        self,
        name: str,
        label: str,
        limits: Numbers,
        read: Callable[[int], int],
        write: Callable[[int, int], object],
    ) -> Parameter:
        return self.add_parameter(
            name,
            label=f"{label} of input {self._number}",
            unit="s",
            vals=limits,
            get_cmd=lambda: read(self._number) / PS,
            set_cmd=lambda seconds: write(self._number, round(seconds * PS)),
            docstring=f"{label}, s, in steps of 1 ps.",
        )

    def _get_count_rate(self) -> float:
        measurement = self._owner.sdk.Countrate(self._owner.tagger, [self._number])
        self._owner.acquire(measurement, self._owner.integration_time.get())
        return float(measurement.getData()[0])


class TimeHistogram(InstrumentChannel):
    """Histogram of the times from a start input to a click input.

    Every get of the counts starts a measurement, blocks for `duration`, and
    returns what came in that time.

    Args:
        parent: The instrument.
        name: Name of the histogram.
        kind: Class of the SDK that measures it.
        inputs: Numbers of the inputs to choose from.
        centred: Whether times before the start count, too.

    Attributes:
        click_channel: Number of the input whose tags are counted, dimensionless.
        start_channel: Number of the input whose tags are the starts, dimensionless.
        bin_width: Width of a bin, s.
        n_bins: Bins, dimensionless.
        duration: Time of a measurement, s.
        delay: Times of the bins, s, shape (n_bins,): the setpoints.
        counts: Counts per bin, dimensionless, shape (n_bins,).
    """

    def __init__(
        self, parent: TimeTaggerInstrument, name: str, kind: str, inputs: Sequence[int], *, centred: bool
    ) -> None:
        super().__init__(parent, name)
        self._owner = parent
        self._kind = kind
        self._centred = centred
        self._add_settings(inputs)
        shape = (self.n_bins.get_latest,)
        self.delay: Parameter = self.add_parameter(
            "delay",
            label="Delay",
            unit="s",
            vals=Arrays(shape=shape),
            get_cmd=self._get_delay,
            docstring="Times of the bins, s, shape (n_bins,).",
        )
        self.counts: ParameterWithSetpoints = self._add_array(
            "counts", "Counts", shape, lambda measurement: measurement.getData(), "Counts per bin"
        )

    def _add_settings(self, inputs: Sequence[int]) -> None:
        first, second = (*inputs, *inputs)[:2]
        settings: dict[str, tuple[str, str, Any, Any]] = {
            "click_channel": ("Input of the clicks", "", Enum(*inputs), first),
            "start_channel": ("Input of the starts", "", Enum(*inputs), second),
            "bin_width": ("Width of a bin", "s", Numbers(1e-12, 1), 1e-9),
            "n_bins": ("Bins", "", Ints(1, 10_000_000), 101),
            "duration": ("Time of a measurement", "s", Numbers(1e-12, 1e6), 0.1),
        }
        for name, (label, unit, limits, value) in settings.items():
            self.add_parameter(
                name,
                label=label,
                unit=unit,
                vals=limits,
                initial_value=value,
                set_cmd=None,
                docstring=f"{label}, {unit or 'dimensionless'}.",
            )

    def _add_array(
        self,
        name: str,
        label: str,
        shape: tuple[Callable[[], Any]],
        read: Callable[[Any], np.ndarray],
        text: str,
    ) -> ParameterWithSetpoints:
        return self.add_parameter(
            name,
            parameter_class=ParameterWithSetpoints,
            label=label,
            setpoints=(self.delay,),
            vals=Arrays(shape=shape),
            get_cmd=lambda: self._measure(read),
            docstring=f"{text}, dimensionless, shape (n_bins,). Every get measures anew for the duration.",
        )

    def _get_delay(self) -> np.ndarray:
        first = -(self.n_bins() // 2) if self._centred else 0
        times: np.ndarray = (np.arange(self.n_bins()) + first) * round(self.bin_width() * PS) / PS
        return times

    def _measure(self, read: Callable[[Any], np.ndarray]) -> np.ndarray:
        measurement = getattr(self._owner.sdk, self._kind)(
            self._owner.tagger,
            self.click_channel(),
            self.start_channel(),
            round(self.bin_width() * PS),
            self.n_bins(),
        )
        self._owner.acquire(measurement, self.duration())
        return np.asarray(read(measurement), float)


class TimeCorrelation(TimeHistogram):
    """Histogram of the times between two inputs, of either sign, and g2.

    Attributes:
        g2: Second-order correlation: 1 for uncorrelated inputs, dimensionless,
            shape (n_bins,).
    """

    def __init__(self, parent: TimeTaggerInstrument, name: str, inputs: Sequence[int]) -> None:
        super().__init__(parent, name, "Correlation", inputs, centred=True)
        self.g2: ParameterWithSetpoints = self._add_array(
            "g2",
            "g2",
            (self.n_bins.get_latest,),
            lambda measurement: measurement.getDataNormalized(),
            "Second-order correlation, 1 for uncorrelated inputs",
        )


class TimeTaggerInstrument(Instrument):
    """A Time Tagger as QCoDeS instrument: count rates, correlations and histograms.

    Args:
        name: Name of the instrument.
        sdk: The SDK: a module, its import path such as `Swabian.TimeTagger`, or the
            proxy of one that a server serves. A module cannot travel to another
            process: with `server_name=` give the path.
        serial: Serial number of the device; '' for the first that is free.
        tagger: A tagger that is made already, to share it; it is not freed when
            the instrument closes.
        channels: Numbers of the inputs to show; None for all.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Raises:
        RuntimeError: The device is in use, or there is none.
        ModuleNotFoundError: The SDK is not installed where the instrument lives.

    Attributes:
        integration_time: Time of a measurement of a count rate, s.
        ch1: The first input, with `count_rate` and its settings; and so on.
        correlation: Times between two inputs, with `g2`.
        histogram: Times from a start input to a click input.
    """

    def __init__(
        self,
        name: str,
        sdk: Any = SIMULATED,
        serial: str = "",
        tagger: Any = None,
        channels: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.sdk = importlib.import_module(sdk) if isinstance(sdk, str) else sdk
        self._is_owner = tagger is None
        self.tagger = self.sdk.createTimeTagger(serial) if tagger is None else tagger
        try:
            self._add_parts(channels)
        except BaseException:
            self._free()
            raise

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and version of the SDK."""
        return {
            "vendor": "Swabian Instruments",
            "model": self.tagger.getModel(),
            "serial": self.tagger.getSerial(),
            "firmware": self.sdk.getVersion(),
        }

    def acquire(self, measurement: Any, duration: float) -> None:
        """Let a measurement of the SDK count for a time, blocking until its end.

        Args:
            measurement: Any measurement on this tagger.
            duration: How long, s.
        """
        measurement.startFor(max(round(duration * PS), 1))
        measurement.waitUntilFinished()

    def close(self) -> None:
        """Free the tagger, unless it was given or others use it, and close."""
        try:
            self._free()
        finally:
            super().close()

    def _add_parts(self, channels: Sequence[int] | None) -> None:
        inputs = list(channels or self.tagger.getChannelList(self.sdk.ChannelEdge.Rising))
        self.integration_time: Parameter = self.add_parameter(
            "integration_time",
            label="Integration time",
            unit="s",
            vals=Numbers(1e-12, 1e4),
            initial_value=0.1,
            set_cmd=None,
            docstring="Time over which each get of a count rate counts, s.",
        )
        listed = ChannelList(self, "channels", TimeTaggerInput)
        for number in inputs:
            channel = TimeTaggerInput(self, f"ch{number}", number)
            listed.append(channel)
            self.add_submodule(f"ch{number}", channel)
        self.add_submodule("channels", listed.to_channel_tuple())
        self.correlation = self._add(TimeCorrelation(self, "correlation", inputs))
        self.histogram = self._add(TimeHistogram(self, "histogram", "Histogram", inputs, centred=False))

    def _add(self, part: InstrumentChannel) -> Any:
        return self.add_submodule(part.short_name, part)

    def _free(self) -> None:
        if self._is_owner:
            self._is_owner = False
            try:
                self.sdk.freeTimeTagger(self.tagger)
            except (UsageError, RuntimeError) as error:
                # Served, it may have other users; and somebody may have freed it before.
                logger.info("%s: the tagger was not freed: %s", self.name, error)
