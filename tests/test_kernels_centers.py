"""k-center greedy: the pool changes nothing, prefixes are choices, and no row is far from a kept one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datakit.kernels import centers
from datakit.kernels.centers import spread
from datakit.kernels.vectors import whole_numbers


def plain_spread(vectors: np.ndarray, count: int) -> list[int]:
    """The definition, row by row: the farthest from all taken so far, the earlier of equal ones."""
    scales = centers._scales(vectors)
    near = [np.float32(-1) if scale else np.float32(1) for scale in scales]
    taken: list[int] = []
    while len(taken) < min(count, len(vectors)):
        left = [row for row in range(len(vectors)) if row not in taken]
        next_one = min(left, key=lambda row: (near[row], row)) if taken else _nearest_to_mean(vectors)
        taken.append(next_one)
        for row in range(len(vectors)):
            dot = np.float32(int(vectors[row].astype(int) @ vectors[next_one].astype(int)))
            near[row] = max(near[row], dot * scales[next_one] * scales[row])
    return taken


def _nearest_to_mean(vectors: np.ndarray) -> int:
    whole = vectors.astype(int)
    return int(np.argmax((whole @ whole.sum(axis=0)) * centers._scales(vectors).astype(float)))


def clustered(rows: int, clusters: int, seed: int, width: int = 16) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(clusters, width))
    noisy = middles[rng.integers(0, clusters, rows)] + 0.3 * rng.normal(size=(rows, width))
    return whole_numbers(noisy).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 1000), st.integers(1, 70))
def test_spread_with_a_small_pool_equals_the_definition(rows: int, clusters: int, seed: int, count: int) -> None:
    vectors = clustered(rows, clusters, seed)
    vectors[:: max(2, rows // 3)] = vectors[0]  # equal rows: ties
    if rows > 5:
        vectors[5] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(centers, "LEAST_POOL", 3)
        found, _ = spread(vectors, count)
    assert found.tolist() == plain_spread(vectors, count)


def test_spread_every_prefix_is_the_choice_of_fewer_rows() -> None:
    vectors = clustered(900, 40, 1)
    most = spread(vectors, 300)[0].tolist()
    for count in (1, 2, 50, 299):
        assert spread(vectors, count)[0].tolist() == most[:count]


def test_spread_says_how_near_every_row_is_to_the_taken_ones() -> None:
    vectors = clustered(300, 12, 2)
    taken, near = spread(vectors, 40)
    scales = centers._scales(vectors)
    exact = ((vectors @ vectors[taken].T) * scales[taken]).max(axis=1) * scales
    left = np.setdiff1d(np.arange(300), taken)
    assert np.allclose(near[left], exact[left], atol=1e-6)
    assert (near[taken] == 1).all()


def test_spread_takes_one_row_of_each_cluster_first() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat(np.arange(12), [500, *[3] * 11])  # one huge cluster, eleven tiny ones
    vectors = whole_numbers(20 * np.eye(12)[label] + rng.normal(size=(len(label), 12))).astype(np.float32)
    assert sorted(label[spread(vectors, 12)[0]].tolist()) == list(range(12))
    by_lot = rng.permutation(len(label))[:12]
    assert len(set(label[by_lot].tolist())) < 12  # what chance would have missed


@pytest.mark.parametrize("seed", range(6))
def test_spread_is_within_twice_the_best_possible_radius(seed: int) -> None:
    vectors = clustered(11, 4, seed, width=4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1))
    best = min(angles[:, list(kept)].min(axis=1).max() for kept in combinations(range(11), 3))
    assert angles[:, spread(vectors, 3)[0]].min(axis=1).max() <= 2 * best + 1e-6
    assert angles[:, [0]].min(axis=1).max() > best  # the law is not empty: one row alone covers worse


def test_spread_all_rows_alike_takes_them_in_order() -> None:
    vectors = np.repeat(clustered(1, 1, 0), 40, axis=0)
    assert spread(vectors, 7)[0].tolist() == list(range(7))


def test_spread_of_nothing_is_nothing() -> None:
    taken, near = spread(np.empty((0, 8), np.float32), 5)
    assert (len(taken), len(near)) == (0, 0)
