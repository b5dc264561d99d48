"""One update that makes the logits explode must not make everybody who dilutes it look equally valuable."""

from __future__ import annotations

import numpy as np
from cohort_protocol.learning.measuring import example_values
from cohort_protocol.learning.validation import bounded_effects


def game() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A model that knows nothing; two players that learned, one of noise, one that sends labels the other way."""
    random = np.random.default_rng(2)
    labels = random.integers(0, 4, 64)
    right = np.eye(4)[labels]
    noise = 0.1 * random.normal(size=(64, 4))
    members = np.stack([2 * right + noise, 1.5 * right - noise, noise, -300 * right])
    return np.zeros((64, 4)), members, labels


def test_an_explosion_drowns_every_difference_and_bounding_it_brings_them_back() -> None:
    base, members, labels = game()
    drowned = example_values(base, members, labels).mean(1)
    assert drowned[2] > 0.95 * drowned[1], "noise looks as good as an honest update: what bounding is for"
    values = example_values(base, bounded_effects(base, members), labels).mean(1)
    assert values[0] > values[1] > 1.5 * values[2]
    assert values[3] < 0


def test_effects_up_to_twice_the_median_stay_as_they_are() -> None:
    base, members, _ = game()
    bounded = bounded_effects(base, members)
    assert np.array_equal(bounded[:3], members[:3])
    size = np.sqrt(((bounded - base) ** 2).mean(axis=(1, 2)))
    assert np.isclose(size[3], 2 * np.sort(size)[1])
    order = [3, 1, 0, 2]
    assert np.allclose(bounded_effects(base, members[order]), bounded[order])
    assert np.array_equal(bounded_effects(base, np.stack([base, base])), np.stack([base, base]))
