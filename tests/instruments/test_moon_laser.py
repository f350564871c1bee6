import json
import threading
from collections.abc import Iterator

import pytest

from instruments import moon_laser
from instruments.moon_laser import COLD, HEAT, NOISE, MoonLaser

PATIENCE = 10.0


@pytest.fixture
def laser() -> Iterator[MoonLaser]:
    instrument = MoonLaser("laser")
    instrument.duration(0.001)
    yield instrument
    instrument.close()


@pytest.fixture
def armed(laser: MoonLaser) -> MoonLaser:
    laser.target("Fort Knox")
    laser.state("active")
    return laser


def test_at_first_it_is_idle_cold_and_has_fired_nothing(laser: MoonLaser) -> None:
    assert (laser.power(), laser.focus(), laser.target(), laser.state()) == (100, 100, None, "idle")
    assert laser.get_values() == (0, 0)
    assert laser.temperature() == COLD


def test_units_are_told(laser: MoonLaser) -> None:
    assert [laser.parameters[name].unit for name in ("power", "focus", "duration", "temperature")] == [
        "GW",
        "%",
        "s",
        "K",
    ]


def test_a_shot_has_about_the_power_and_the_duration_that_are_set(armed: MoonLaser) -> None:
    armed.power(300)
    power, duration = armed.fire()
    assert power == pytest.approx(300, rel=10 * NOISE)
    assert power != 300
    assert duration == 0.001
    assert armed.get_values() == (power, duration)


def test_a_shot_heats_and_time_cools(armed: MoonLaser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moon_laser.time, "sleep", lambda seconds: None)
    armed.duration(2)
    power, duration = armed.fire()
    hot = armed.temperature()
    assert COLD < hot <= COLD + HEAT * power * duration
    later = armed._heated + 1e3
    assert armed._cooled(later) < 1e-6


@pytest.mark.parametrize(("state", "target"), [("idle", "Fort Knox"), ("active", None)])
def test_it_fires_only_if_it_is_active_and_has_a_target(
    laser: MoonLaser, state: str, target: str | None
) -> None:
    laser.state(state)
    laser.target(target)
    with pytest.raises(RuntimeError, match=f"is {state} and its target is {target}"):
        laser.fire()
    assert laser.get_values() == (0, 0)
    assert laser.state() == state


def test_state_is_fire_during_a_shot_and_active_after_it(
    armed: MoonLaser, monkeypatch: pytest.MonkeyPatch
) -> None:
    firing, go_on = threading.Event(), threading.Event()

    def shoot(seconds: float) -> None:
        firing.set()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(moon_laser.time, "sleep", shoot)
    shot = threading.Thread(target=armed.fire)
    shot.start()
    assert firing.wait(PATIENCE)
    assert (armed.state(), armed.state.cache.get()) == ("fire", "fire")
    go_on.set()
    shot.join(PATIENCE)
    assert (armed.state(), armed.state.cache.get()) == ("active", "active")


def test_the_state_fire_cannot_be_set(laser: MoonLaser) -> None:
    with pytest.raises(ValueError, match=r"comes with a shot; call fire\(\)"):
        laser.state("fire")
    assert laser.state() == "idle"


def test_settings_are_set_together_and_told(laser: MoonLaser) -> None:
    told = laser.update_settings(power=300, focus=10)
    assert told == "Updated settings with: {'power': 300, 'focus': 10}"
    assert (laser.power(), laser.focus()) == (300, 10)


@pytest.mark.parametrize("wrong", [{"colour": "green"}, {"focus": 101}, {"target": 5}])
def test_one_wrong_setting_leaves_all_as_they_were(laser: MoonLaser, wrong: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        laser.update_settings(power=300, **wrong)
    assert laser.power() == 100


def test_an_unknown_setting_is_told_with_those_that_there_are(laser: MoonLaser) -> None:
    with pytest.raises(ValueError, match="no setting 'colour'; it has power, focus, duration, target"):
        laser.update_settings(colour="green")


def test_the_state_is_set_and_told(laser: MoonLaser) -> None:
    assert laser.set_state("active") == "State set to: active"
    assert laser.state() == "active"
    with pytest.raises(ValueError, match="melted"):
        laser.set_state("melted")


@pytest.mark.parametrize(
    ("name", "value"), [("power", -1), ("power", 1001), ("focus", 101), ("duration", 0), ("target", "")]
)
def test_a_setting_out_of_range_is_refused(laser: MoonLaser, name: str, value: object) -> None:
    before = laser.parameters[name]()
    with pytest.raises(ValueError):
        laser.parameters[name](value)
    assert laser.parameters[name]() == before


def test_the_same_seed_fires_the_same_shots() -> None:
    shots = []
    for name in ("first", "second"):
        laser = MoonLaser(name, seed=5)
        laser.update_settings(target="Fort Knox", duration=0.001)
        laser.state("active")
        shots.append([laser.fire() for _ in range(3)])
        laser.close()
    assert shots[0] == shots[1]


def test_its_values_can_be_told_as_json(laser: MoonLaser) -> None:
    told = {name: parameter.get() for name, parameter in laser.parameters.items()}
    assert json.loads(json.dumps(told))["state"] == "idle"


def test_it_says_what_it_is(laser: MoonLaser) -> None:
    assert laser.IDN()["model"] == "MoonLaser"
