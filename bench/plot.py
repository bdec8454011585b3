"""Plots of cost against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot


def curve(path: Path, title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> Path:
    """Draw *lines* on logarithmic axes and write them to *path* as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for name, points in lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    axes.set(title=title, xlabel=across, ylabel=up, xscale="log", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.25)
    if len(lines) > 1:
        axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def bars(path: Path, title: str, across: str, values: Mapping[str, float]) -> Path:
    """Draw *values* as bars from the top down, each with its figure, and write them to *path* as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 0.6 * len(values) + 1.2), layout="constrained")
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(title=title, xlabel=across)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
