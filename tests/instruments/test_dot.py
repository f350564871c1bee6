from collections.abc import Iterator

import numpy as np
import pytest

from instruments.dac import Dac
from instruments.dot import BOLTZMANN, CHARGE, Dot, DoubleDot


@pytest.fixture
def dac() -> Iterator[Dac]:
    instrument = Dac("dac", channels=2)
    yield instrument
    instrument.close()


@pytest.fixture
def dot(dac: Dac) -> Iterator[Dot]:
    instrument = Dot("dot", gates=[dac.ch1.v, dac.ch2.v])
    yield instrument
    instrument.close()


def thermal_electrons(model: DoubleDot, v1: float, v2: float) -> np.ndarray:
    """Mean electron numbers of the grand-canonical ensemble, dimensionless, shape (2,)."""
    numbers = np.indices((12, 12), dtype=float).reshape(2, -1)
    excess = numbers - (np.array(model.lever) @ [v1, v2])[:, None]
    coupling = np.array([[model.ec1, model.ecm], [model.ecm, model.ec2]])
    energies = 0.5 * (excess * (coupling @ excess)).sum(0)
    weights = np.exp(-(energies - energies.min()) / (BOLTZMANN * model.temperature))
    return numbers @ weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 4.2])
def test_electrons_without_bias_are_the_thermal_average(temperature: float) -> None:
    model = DoubleDot(temperature=temperature)
    for v1, v2 in np.random.default_rng(1).uniform(-0.05, 0.6, (40, 2)):
        electrons, _, current = model.solve(v1, v2)
        np.testing.assert_allclose(electrons, thermal_electrons(model, v1, v2), atol=1e-4)
        assert abs(current) < 1e-18


def test_empty_dots_stay_empty_at_negative_gate_voltages() -> None:
    electrons, _, _ = DoubleDot().solve(-1.0, -1.0)
    np.testing.assert_allclose(electrons, [0, 0], atol=1e-6)


def test_charge_adds_one_electron_per_period_of_a_gate() -> None:
    model = DoubleDot(lever=((10.0, 0.0), (0.0, 10.0)))
    electrons = [model.solve(v1, 0.02)[0][0] for v1 in np.arange(6) * 0.1 + 0.02]
    np.testing.assert_allclose(electrons, range(6), atol=1e-6)


def test_step_broadens_with_temperature() -> None:
    """Between two charge states of one dot the occupation is a Fermi function."""
    model = DoubleDot(ecm=0.0, temperature=0.3, lever=((10.0, 0.0), (0.0, 10.0)))
    detuning = 3e-5
    electrons, _, _ = model.solve(0.05 + detuning / (10.0 * model.ec1), 0.0)
    fermi = 1 / (1 + np.exp(-detuning / (BOLTZMANN * model.temperature)))
    assert electrons[0] == pytest.approx(fermi, abs=1e-4)


def test_blockaded_dots_carry_no_current() -> None:
    _, _, current = DoubleDot(bias=2e-4).solve(0.1, 0.1)
    assert abs(current) < 1e-17


def test_bias_at_a_triple_point_drives_current_along_it() -> None:
    model = DoubleDot(bias=2e-4, temperature=0.02)
    scan = [model.solve(v1, v2)[2] for v1 in np.linspace(0, 0.1, 41) for v2 in np.linspace(0, 0.1, 41)]
    # In a bias triangle three hops in a row, each at the full rate, pass one electron.
    assert max(scan) == pytest.approx(CHARGE * model.rate / 3, rel=0.02)
    assert min(scan) > -1e-17


def test_reversed_bias_reverses_the_current_of_symmetric_dots() -> None:
    symmetric = {"ec1": 2e-3, "ec2": 2e-3, "lever": ((10.0, 1.0), (1.0, 10.0))}
    forward = DoubleDot(bias=3e-4, **symmetric)
    backward = DoubleDot(bias=-3e-4, **symmetric)
    # Exchanging the dots is exchanging the leads.
    for v1, v2 in np.random.default_rng(2).uniform(0, 0.2, (30, 2)):
        assert forward.solve(v1, v2)[2] == pytest.approx(-backward.solve(v2, v1)[2], abs=1e-18)


def test_sensor_jumps_where_an_electron_enters(dac: Dac, dot: Dot) -> None:
    dot.noise(0)
    signals, electrons = [], []
    for volts in np.linspace(0, 0.1, 51):
        dac.ch1.v(volts)
        signals.append(dot.sensor())
        electrons.append(dot.electrons().sum())
    assert np.argmin(np.diff(signals)) == np.argmax(np.diff(electrons))


def test_gates_are_read_from_their_caches(dac: Dac, dot: Dot) -> None:
    dac.zero()
    before = dac.history()
    dot.sensor()
    dot.current()
    assert dac.history() == before


def test_gate_that_was_never_set_is_read_once(dac: Dac, dot: Dot) -> None:
    dot.sensor()
    dot.sensor()
    assert dac.history() == ["VOLT? 1", "VOLT? 2"]


def test_current_follows_bias(dac: Dac, dot: Dot) -> None:
    dot.noise(0)
    # Just beyond the triple point where an electron may sit in either dot or in none.
    dac.ch1.v(0.0355)
    dac.ch2.v(0.039)
    dot.temperature(1.0)
    dot.bias(1e-3)
    forward = dot.current()
    dot.bias(-1e-3)
    assert forward > 1e-12
    assert dot.current() < -1e-12


def test_same_seed_gives_the_same_readings(dac: Dac) -> None:
    readings = []
    for name in ("first", "second"):
        dot = Dot(name, gates=[dac.ch1.v, dac.ch2.v], seed=7)
        readings.append([dot.sensor(), dot.current(), dot.sensor()])
        dot.close()
    assert readings[0] == readings[1]


def test_noise_has_the_rms_that_was_asked_for(dac: Dac) -> None:
    dot = Dot("noisy", gates=[dac.ch1.v, dac.ch2.v], noise=1e-11)
    readings = [dot.current() for _ in range(500)]
    dot.close()
    assert np.std(readings) == pytest.approx(1e-11, rel=0.1)


def test_knobs_change_the_model(dot: Dot) -> None:
    dot.ec1(3e-3)
    dot.temperature(0.5)
    assert (dot.ec1(), dot.temperature()) == (3e-3, 0.5)


def test_coupling_above_a_charging_energy_is_refused_and_changes_nothing(dot: Dot) -> None:
    with pytest.raises(ValueError, match=r"ecm = 0\.003 eV"):
        dot.ecm(3e-3)
    assert dot.ecm() == 0.6e-3


@pytest.mark.parametrize("reading", ["current", "sensor"])
def test_readings_cannot_be_set(dot: Dot, reading: str) -> None:
    assert not dot.parameters[reading].settable


@pytest.mark.parametrize("count", [0, 1, 3])
def test_other_than_two_gates_are_refused(dac: Dac, count: int) -> None:
    with pytest.raises(ValueError, match="give two"):
        Dot("wrong", gates=[dac.ch1.v] * count)


def test_idn_names_the_sample(dot: Dot) -> None:
    assert dot.IDN()["model"] == "Dot"
