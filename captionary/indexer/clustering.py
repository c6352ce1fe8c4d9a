"""From the regions of a noun to its prototypes: spherical k-means, as many as the data asks for."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score

from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.vectors import unit

MOST = 8
"""Prototypes of one noun at most."""

FEWEST_TO_SPLIT = 8
"""With fewer regions than that, a noun has one prototype."""

MOST_APART = 32
"""Regions that someone pointed at that are kept apart; more of them are clustered into so many."""

CLEARLY_APART = 0.35
"""Silhouette from which clusters become separate prototypes. Variants of one kind of thing come out
at 0.1 to 0.3 and classify better as one prototype; senses of a word ("mouse") lie above."""

CANCELLED = 1e-6
"""Length of a mean of unit vectors below which it is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Clusters on the sphere, largest first.

    centres:    (K, D) float32, unit length.
    assignment: (N,) int64, the cluster of each vector.
    """

    centres: Vectors
    assignment: NDArray[np.int64]


def cluster(vectors: Vectors) -> Clusters:
    """Cluster N >= 1 unit vectors, (N, D), into as many clusters as are clearly apart.

    K grows from 1 while the mean silhouette (cosine) improves and stays above `CLEARLY_APART`.
    Deterministic: the same vectors in the same order give the same clusters.
    """
    best = np.zeros(len(vectors), dtype=np.int64)
    best_silhouette = CLEARLY_APART
    most = min(MOST, len(vectors) // (FEWEST_TO_SPLIT // 2))
    for count in range(2, most + 1):
        labels = _k_means(vectors, count)
        if len(np.unique(labels)) < count:
            break
        silhouette = float(silhouette_score(vectors, labels, metric="cosine"))
        if silhouette <= best_silhouette:
            break
        best, best_silhouette = labels, silhouette
    return _largest_first(vectors, best)


def keep_together(vectors: Vectors) -> Clusters:
    """Put N >= 1 unit vectors, (N, D), into one cluster."""
    return _largest_first(vectors, np.zeros(len(vectors), dtype=np.int64))


def keep_apart(vectors: Vectors) -> Clusters:
    """Give each of N >= 1 unit vectors, (N, D), a cluster of its own; above MOST_APART k-means."""
    if len(vectors) <= MOST_APART:
        return Clusters(centres=vectors, assignment=np.arange(len(vectors)))
    return _largest_first(vectors, _k_means(vectors, MOST_APART))


def _k_means(vectors: Vectors, count: int) -> NDArray[np.int64]:
    """The cluster of each vector, (N,); fewer clusters than asked for where vectors coincide."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: NDArray[np.int64] = (
            KMeans(count, n_init=4, random_state=0).fit(vectors).labels_.astype(np.int64)
        )
    return labels


def _largest_first(vectors: Vectors, labels: NDArray[np.int64]) -> Clusters:
    # Of equal size, the one that begins first: the numbers that k-means gave must leave no trace.
    _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    assignment = rank[labels]
    sums = np.zeros((len(sizes), vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, assignment, vectors)
    # Vectors that cancel out have no mean direction; the first of them is as good as any.
    cancelled = np.linalg.norm(sums, axis=1) < CANCELLED * sizes[order]
    sums[cancelled] = vectors[[int(np.argmax(assignment == k)) for k in np.flatnonzero(cancelled)]]
    return Clusters(centres=unit(sums.astype(np.float32)), assignment=assignment)


def mean_direction(vectors: Vectors) -> Vector:
    """Of N >= 1 unit vectors, (N, D) -> (D,), unit length; of those that cancel out the first."""
    total = vectors.sum(axis=0, dtype=np.float64)
    if np.linalg.norm(total) < CANCELLED * len(vectors):
        total = vectors[0]
    centre: Vector = unit(total.astype(np.float32))
    return centre
