"""The curves of a run as a picture: loss, learning rate and metrics, drawn from its log."""

import csv
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captionary.files.atomic import write_atomically
from captionary.learning.progress import LOSS_PREFIX, log_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_FILE = "curves.svg"
MAX_POINTS = 400
"""Points of a curve; of longer runs, each is the mean of several lines of the log."""
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
    """Draw loss, learning rate and metrics over the steps; equal logs give equal files.

    Args:
        log:     as `checkpoints.Log` writes it, with at least one line.
        picture: an SVG, which appears whole in the place of an older one.
    """
    # Imported here: a run that is not yet evaluated, and readers of pictures, do without it.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = _read_columns(log)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        _draw_axes(figure, columns)
        save = partial(figure.savefig, format="svg", metadata={"Date": None})
        write_atomically(picture, save, durable=False)


def _read_columns(log: Path) -> dict[str, NDArray[np.float64]]:
    """The columns by name, (N,) each; nan where a line has no number."""
    with log.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    names = reader.fieldnames or ()
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


def _draw_axes(figure: "Figure", columns: Mapping[str, NDArray[np.float64]]) -> None:
    others = log_columns((), ())
    parts = [name for name in columns if name.startswith(LOSS_PREFIX)]
    metrics = [name for name in columns if name not in others and name not in parts]
    grid = figure.add_gridspec(2, 2 if metrics else 1, height_ratios=(3, 1))
    loss = figure.add_subplot(grid[0, 0])
    rate = figure.add_subplot(grid[1, 0], sharex=loss)
    steps = average_down(columns["step"])
    loss.plot(steps, average_down(columns["loss"]), color="black", label="loss")
    for name in parts:
        loss.plot(steps, average_down(columns[name]), lw=1, label=_label(name))
    rate.plot(steps, average_down(columns["learning_rate"]), color="gray")
    loss.tick_params(labelbottom=False)
    _finish_axes(loss, "loss", legend=bool(parts))
    _finish_axes(rate, "learning rate", x_label="step")
    if metrics:
        values = {name: columns[name] for name in metrics}
        _draw_metrics(figure.add_subplot(grid[:, 1]), values, columns["step"])


def _draw_metrics(
    axes: "Axes", metrics: Mapping[str, NDArray[np.float64]], steps: NDArray[np.float64]
) -> None:
    for name, values in metrics.items():
        evaluated = ~np.isnan(values)
        axes.plot(steps[evaluated], values[evaluated], "o-", ms=3, label=_label(name))
    _finish_axes(axes, "figures of the evaluations", x_label="step", legend=True)


def _finish_axes(axes: "Axes", name: str, *, x_label: str = "", legend: bool = False) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(name)
    axes.set_xlim(left=0)
    if axes.dataLim.ymin >= 0:
        axes.set_ylim(bottom=0)
    if legend:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


def _label(name: str) -> str:
    return name.removeprefix(LOSS_PREFIX).replace("_", " ")


def average_down(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average neighbours into at most MAX_POINTS values, (N,) -> (M,); few stay as they are."""
    if len(values) <= MAX_POINTS:
        return values
    # Parts of almost equal length: reduceat sums from each start up to the next.
    starts = np.linspace(0, len(values), MAX_POINTS, endpoint=False).astype(np.int64)
    means: NDArray[np.float64] = np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
    return means
