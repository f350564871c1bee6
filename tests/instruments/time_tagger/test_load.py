"""What the simulation costs: less than the time that it simulates."""

import time

import pytest

from instruments import time_tagger as TT
from instruments.time_tagger.simulation import Bench


def cost_of(bench: Bench, seconds: float) -> float:
    """Processor time per simulated time, dimensionless."""
    bench.step(0.02)
    begun = time.process_time()
    bench.step(seconds)
    return (time.process_time() - begun) / seconds


@pytest.mark.slow
@pytest.mark.benchmark
def test_eight_measurements_of_a_million_tags_per_second_leave_the_processor_free(
    bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.coherent([1, 2], 2e6)
    held = [
        *(TT.Counter(tagger, [1, 2], 10**9, 100) for _ in range(4)),
        *(TT.Countrate(tagger, [1, 2]) for _ in range(2)),
        *(TT.Correlation(tagger, 1, 2) for _ in range(2)),
    ]
    assert cost_of(bench, 0.5) < 0.7
    assert len(held) == 8


@pytest.mark.slow
@pytest.mark.benchmark
@pytest.mark.parametrize("dead_time", [10**5, 10**6, 10**7])
def test_dead_time_of_a_saturated_input_costs_little(
    dead_time: int, bench: Bench, tagger: TT.TimeTagger
) -> None:
    bench.coherent([1], 2e6)
    tagger.setDeadtime(1, dead_time)
    rate = TT.Countrate(tagger, [1])
    assert cost_of(bench, 0.3) < 0.7
    assert rate.getData()[0] == pytest.approx(2e6 / (1 + 2e6 * dead_time * 1e-12), rel=0.02)


@pytest.mark.slow
@pytest.mark.benchmark
def test_wide_correlation_keeps_up(bench: Bench, tagger: TT.TimeTagger) -> None:
    bench.coherent([1, 2], 2e6)
    correlation = TT.Correlation(tagger, 1, 2, binwidth=10_000, n_bins=1001)
    assert cost_of(bench, 0.1) < 0.9
    assert correlation.getDataNormalized().mean() == pytest.approx(1, abs=0.01)
