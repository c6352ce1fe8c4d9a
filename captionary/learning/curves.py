"""The curves of a run as a picture, drawn from its log."""

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captionary.files.atomic import write_atomically
from captionary.learning.progress import PART, log_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_FILE = "curves.svg"
MOST_POINTS = 400
"""Points of a line; of longer runs, each is the mean of several lines of the log."""
STYLE: dict[Any, Any] = {
    "svg.hashsalt": CURVES_FILE,  # else equal runs would be drawn with different ids
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
    "legend.frameon": False,
}


def draw_curves(log: Path, picture: Path) -> None:
    """Draw loss, learning rate and figures over the steps; equal logs give equal files.

    Args:
        log:     as `learning.checkpoints.Log` writes it, with at least one line.
        picture: an SVG, which appears whole in the place of an older one.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = _read(log)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        _draw(figure, columns)
        save = partial(figure.savefig, format="svg", metadata={"Date": None})
        write_atomically(picture, save, durable=False)


def _read(log: Path) -> dict[str, NDArray[np.float64]]:
    """The columns by name, (N,) each; nan where a line has no number."""
    with log.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    names = reader.fieldnames or ()
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


def _draw(figure: "Figure", columns: Mapping[str, NDArray[np.float64]]) -> None:
    usual = log_columns((), ())
    parts = [name for name in columns if name.startswith(PART)]
    measured = [name for name in columns if name not in usual and name not in parts]
    grid = figure.add_gridspec(2, 2 if measured else 1, height_ratios=(3, 1))
    loss = figure.add_subplot(grid[0, 0])
    rate = figure.add_subplot(grid[1, 0], sharex=loss)
    steps = thinned(columns["step"])
    loss.plot(steps, thinned(columns["loss"]), color="black", label="loss")
    for name in parts:
        loss.plot(steps, thinned(columns[name]), lw=1, label=_said(name))
    rate.plot(steps, thinned(columns["learning_rate"]), color="gray")
    loss.tick_params(labelbottom=False)
    _finish(loss, "loss", legend=bool(parts))
    _finish(rate, "learning rate", under="step")
    if measured:
        figures = {name: columns[name] for name in measured}
        _draw_figures(figure.add_subplot(grid[:, 1]), figures, columns["step"])


def _draw_figures(
    axes: "Axes", figures: Mapping[str, NDArray[np.float64]], steps: NDArray[np.float64]
) -> None:
    for name, values in figures.items():
        there = ~np.isnan(values)
        axes.plot(steps[there], values[there], "o-", ms=3, label=_said(name))
    _finish(axes, "figures of the evaluations", under="step", legend=True)


def _finish(axes: "Axes", name: str, *, under: str = "", legend: bool = False) -> None:
    axes.set_xlabel(under)
    axes.set_ylabel(name)
    axes.set_xlim(left=0)
    if axes.dataLim.ymin >= 0:
        axes.set_ylim(bottom=0)
    if legend:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _said(name: str) -> str:
    return name.removeprefix(PART).replace("_", " ")


def thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most MOST_POINTS means of neighbours, (N,) -> (M,); the values, where they are few."""
    if len(values) <= MOST_POINTS:
        return values
    starts = np.linspace(0, len(values), MOST_POINTS, endpoint=False).astype(np.int64)
    means: NDArray[np.float64] = np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
    return means
