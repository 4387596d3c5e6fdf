from __future__ import annotations

import numpy as np
import pytest

from shared.errors import DataError
from shared.monitoring.drift import DriftLimits, ReadingWindow, compare_readings
from shared.monitoring.drift_statistics import (
    centroid_shift,
    class_counts,
    confidence_bins,
    domain_separability,
    grouped_stability_shift,
    holm,
    rate_shift,
    stability_index,
    stability_shift,
)

pytestmark = pytest.mark.unit
TRIALS = 150


def window(random: np.random.Generator, size: int, moved: float = 0.0) -> ReadingWindow:
    """Readings of 12 dimensions and 20 classes; ``moved`` shifts a part of all of it."""
    vectors = random.normal(size=(size, 12)).astype(np.float32)
    vectors[:, 0] += moved
    labels = random.integers(20, size=size) * (1 if moved == 0 else random.integers(2, size=size))
    return ReadingWindow(
        vectors,
        tuple(f"class {label}" for label in labels),
        random.beta(8 - 5 * (moved > 0), 2, size),
        random.normal(-moved, 1, size),
    )


def share_below(p_values: list[float], level: float) -> float:
    return float(np.mean([p <= level for p in p_values]))


def test_p_values_without_a_shift_are_as_rare_as_they_say() -> None:
    random = np.random.default_rng(3)
    found: dict[str, list[float]] = {"centroid": [], "labels": [], "confidence": [], "rate": []}
    for trial in range(TRIALS):
        old, new = window(random, 200), window(random, 120)
        options = {"seed": trial, "permutations": 199}
        found["centroid"].append(centroid_shift(old.vectors, new.vectors, **options).p_value)
        labels = class_counts(old.labels, new.labels)
        found["labels"].append(stability_shift(*labels, **options).p_value)
        bins = confidence_bins(old.confidence, new.confidence)
        found["confidence"].append(stability_shift(*bins, **options).p_value)
        unlike = np.quantile(old.in_scope_scores, 0.05, method="higher")
        hits = [int(np.sum(one.in_scope_scores < unlike)) for one in (old, new)]
        found["rate"].append(rate_shift((hits[0], 200), (hits[1], 120)).p_value)
    for name, p_values in found.items():
        # 0.1 of 150 is 15, with a standard deviation of 3.7: 28 is more than three of them.
        assert share_below(p_values, 0.1) <= 0.19, name
    assert share_below(found["centroid"], 0.5) > 0.35  # and not never, either


def test_a_domain_classifier_that_can_tell_nothing_says_so() -> None:
    random = np.random.default_rng(5)
    found = [
        domain_separability(
            random.normal(size=(120, 12)), random.normal(size=(80, 12)), seed=trial, alpha=0.05
        )
        for trial in range(30)
    ]
    assert share_below([one.p_value for one in found], 0.1) <= 0.25
    assert np.mean([one.low > 0.5 for one in found]) <= 0.15
    assert abs(np.mean([one.auc for one in found]) - 0.5) < 0.03


def test_a_domain_classifier_separates_what_can_be_separated() -> None:
    random = np.random.default_rng(6)
    moved = random.normal(size=(150, 12))
    moved[:, 3] += 2
    found = domain_separability(random.normal(size=(150, 12)), moved, seed=0, alpha=0.001)
    # The best direction tells two normal distributions two deviations apart with AUC 0.921.
    assert 0.85 < found.auc < 0.96
    assert 0.7 < found.low < found.auc
    assert found.p_value < 1e-6


def test_the_index_of_many_classes_is_large_by_chance_alone() -> None:
    random = np.random.default_rng(7)
    old, new = (random.multinomial(size, np.full(77, 1 / 77)) for size in (800, 200))
    shift = stability_shift(old, new, seed=0)
    assert stability_index(old, new) == pytest.approx(shift.value)
    assert shift.value > 0.25  # "a large shift", by the rule of thumb
    assert shift.by_chance == pytest.approx(shift.value, rel=0.4)
    assert shift.p_value > 0.01


def test_the_index_is_what_its_definition_says() -> None:
    found = stability_index(np.array([59.5, 39.5]), np.array([29.5, 69.5]))
    assert found == pytest.approx((0.3 - 0.6) * np.log(0.3 / 0.6) + (0.7 - 0.4) * np.log(0.7 / 0.4))


def test_users_who_repeat_themselves_are_no_evidence() -> None:
    random = np.random.default_rng(8)

    def users(size: int) -> np.ndarray:
        # Each user does one of three things forty times.
        return 40 * np.eye(3, dtype=np.int64)[random.integers(3, size=size)]

    by_user, by_event = [], []
    for trial in range(100):
        old, new = users(40), users(25)
        grouped = grouped_stability_shift(old, new, seed=trial, permutations=199)
        by_user.append(grouped.p_value)
        by_event.append(
            stability_shift(old.sum(axis=0), new.sum(axis=0), seed=trial, permutations=199).p_value
        )
    assert share_below(by_user, 0.1) <= 0.22
    assert share_below(by_event, 0.1) > 0.7  # what permuting events would have told


def test_fishers_test_of_two_rates_agrees_with_scipy() -> None:
    from scipy.stats import fisher_exact

    for hits, n, live, m in ((40, 800, 25, 200), (0, 50, 3, 60), (5, 100, 5, 100)):
        table = [[live, m - live], [hits, n - hits]]
        expected = fisher_exact(table, alternative="greater").pvalue
        assert rate_shift((hits, n), (live, m)).p_value == pytest.approx(expected)


def test_holm_is_monotone_and_bounded() -> None:
    # Worked by hand: 0.01 x 4, 0.02 x 3, 0.03 x 2, and 0.5 x 1.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_check_finds_a_shift_and_finds_none_in_itself() -> None:
    random = np.random.default_rng(9)
    reference = window(random, 600)
    quiet = compare_readings(reference, window(random, 300), DriftLimits(), seed=1)
    assert len(quiet) == 5
    assert not any(signal.drifted for signal in quiet)
    told = compare_readings(reference, window(random, 300, moved=2.0), DriftLimits(), seed=1)
    assert {signal.name for signal in told if signal.drifted} == {
        "centroid",
        "separability",
        "labels",
        "confidence",
        "out_of_scope",
    }


def test_a_significant_trifle_is_no_drift() -> None:
    random = np.random.default_rng(10)
    reference, live = window(random, 400), window(random, 400)
    live.vectors[:, 0] += 0.4  # less than the floor of the effect
    signals = compare_readings(reference, live, DriftLimits(), seed=2)
    centroid = next(signal for signal in signals if signal.name == "centroid")
    assert centroid.adjusted < 0.001
    assert not centroid.drifted


def test_too_few_readings_are_not_compared() -> None:
    random = np.random.default_rng(11)
    assert compare_readings(window(random, 500), window(random, 149), DriftLimits(), seed=0) == []
    with pytest.raises(DataError):
        rate_shift((0, 0), (1, 2))
