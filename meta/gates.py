"""Meta instrument that sets one parameter of several instruments together."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, ClassVar

from qcodes.instrument import InstrumentBase
from qcodes.parameters import Parameter, ParameterBase

from instrumentserver import Instrument


class Gates(Instrument):
    """Several instruments under one name, each with the same parameter.

    Parameter `c0`, `c1`, ... stands for `parameter` of instrument 0, 1, ...;
    `setBoth` sets all of them one after the other and `setBothAsync` all at
    the same time, for any number of instruments. Values pass unchanged, in the
    unit of each instrument, and each instrument checks its own limits when its
    turn comes: after a failure some may hold the new value, and the error says
    which.

    Args:
        name: Name of the instrument.
        instruments: Instruments or channels, local or remote, at least one and
            each once; shape (n,). On a server they are held as shared kwarg.
        parameter: Name of the parameter that every one of them has.
        **kwargs: Handed on to QCoDeS, `label` and `metadata`.

    Raises:
        TypeError: One of `instruments` is not an instrument.
        ValueError: `instruments` is empty or names one twice, or one of them
            has no such parameter.

    Attributes:
        setBoth: Set all in the order given, blocking for the sum of the sets.
            The first failure ends it and is raised; a note says which
            instruments took the value, failed, and were not tried. Cannot be
            read.
        setBothAsync: Set all in parallel, blocking for the longest set.
            Failures are raised after the last set has ended, all in one
            `ExceptionGroup` whose message says which instruments took the
            value and which failed. Ctrl-C gives up the waiting, not the sets.
            Cannot be read.
    """

    shared_kwargs: ClassVar[list[str]] = ["instruments"]

    def __init__(
        self, name: str, instruments: Sequence[InstrumentBase] = (), parameter: str = "x", **kwargs: Any
    ) -> None:
        instruments = tuple(instruments)
        _check(name, instruments, parameter)
        super().__init__(name, **kwargs)
        self._instruments = instruments
        self._parameter = parameter
        # Threads start with the first parallel set, not here.
        self._pool = ThreadPoolExecutor(len(self._instruments), thread_name_prefix=name)
        for number in range(len(self._instruments)):
            self._add_gate(number)
        self._add_common()

    def get_idn(self) -> dict[str, str | None]:
        """Tell vendor, model, serial and firmware of this meta instrument."""
        return {"vendor": "instrumentserver", "model": "Gates", "serial": self.name, "firmware": None}

    def close(self) -> None:
        """Close this instrument, blocking for sets that still run.

        The instruments it acts on stay open. A second close does nothing.
        """
        # A closed instrument, and one whose constructor failed, has no pool.
        pool: ThreadPoolExecutor | None = getattr(self, "_pool", None)
        if pool is not None:
            pool.shutdown()
        super().close()

    def _add_gate(self, number: int) -> None:
        base = self._base(number)
        owner = self._instruments[number].full_name
        self.add_parameter(
            f"c{number}",
            label=_label(base),
            unit=_unit(base),
            get_cmd=(lambda: self._base(number).get()) if base.gettable else False,
            set_cmd=(lambda value: self._base(number).set(value)) if base.settable else False,
            docstring=f"{self._parameter} of {owner}, {_unit(base) or 'dimensionless'}.",
        )

    def _add_common(self) -> None:
        bases = [self._base(number) for number in range(len(self._instruments))]
        units = {_unit(base) for base in bases}
        unit = units.pop() if len(units) == 1 else ""
        label = f"{self._parameter} of all"
        names = ", ".join(base.full_name for base in bases)
        self.setBoth: Parameter = self.add_parameter(
            "setBoth",
            label=label,
            unit=unit,
            get_cmd=False,
            set_cmd=self._set_serially,
            docstring=f"Sets one value, one after the other, at {names}.",
        )
        self.setBothAsync: Parameter = self.add_parameter(
            "setBothAsync",
            label=label,
            unit=unit,
            get_cmd=False,
            set_cmd=self._set_in_parallel,
            docstring=f"Sets one value, at the same time, at {names}.",
        )

    def _base(self, number: int) -> ParameterBase:
        # Looked up among the parameters, and anew for every use: an attribute of the same name may
        # stand in front of the parameter, and the parameter may have been replaced.
        return self._instruments[number].parameters[self._parameter]

    def _set_serially(self, value: Any) -> None:
        bases = [self._base(number) for number in range(len(self._instruments))]
        for number, base in enumerate(bases):
            try:
                base.set(value)
            except Exception as error:
                error.add_note(
                    f"{self.name}.setBoth: took the value: {_tell(bases[:number], value)}; "
                    f"failed: {_tell([base], value)}; not tried: {_tell(bases[number + 1 :], value)}"
                )
                raise

    def _set_in_parallel(self, value: Any) -> None:
        bases = [self._base(number) for number in range(len(self._instruments))]
        # A context can be entered by one thread at a time, so every set gets a copy of its own.
        jobs = [self._pool.submit(contextvars.copy_context().run, base.set, value) for base in bases]
        wait(jobs)
        errors = [job.exception() for job in jobs]
        took = [base for base, error in zip(bases, errors, strict=True) if error is None]
        failed = [base for base, error in zip(bases, errors, strict=True) if error is not None]
        if failed:
            raise BaseExceptionGroup(
                f"{self.name}.setBothAsync: took the value: {_tell(took, value)}; "
                f"failed: {_tell(failed, value)}; mend the cause and set again",
                [error for error in errors if error is not None],
            )


def _check(name: str, instruments: tuple[InstrumentBase, ...], parameter: str) -> None:
    if not instruments:
        raise ValueError(f"{name}: no instruments; give at least one, as in instruments=[dac.ch1, dac.ch2]")
    for number, instrument in enumerate(instruments):
        parameters = getattr(instrument, "parameters", None)
        if parameters is None:
            raise TypeError(
                f"{name}: instruments[{number}] = {instrument!r} is no instrument; give it or its channel"
            )
        if instrument in instruments[:number]:
            first = instruments.index(instrument)
            raise ValueError(
                f"{name}: instruments[{number}] and instruments[{first}] are both {instrument.full_name}; "
                "give each once"
            )
        if parameter not in parameters:
            raise ValueError(
                f"{name}: {instrument.full_name} has no parameter {parameter!r}; "
                f"set parameter= to one that it has: {', '.join(parameters)}"
            )


def _label(parameter: ParameterBase) -> str:
    # Parameters of several values have neither a label nor a unit in the singular.
    return str(getattr(parameter, "label", parameter.full_name))


def _unit(parameter: ParameterBase) -> str:
    return str(getattr(parameter, "unit", ""))


def _tell(bases: Sequence[ParameterBase], value: Any) -> str:
    amounts = (f"{value} {_unit(base)}".rstrip() for base in bases)
    return (
        ", ".join(f"{base.full_name} ({amount})" for base, amount in zip(bases, amounts, strict=True))
        or "none"
    )
