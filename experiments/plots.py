"""Plots of the experiments, in one layout."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

PANEL_INCHES = (4.6, 3.4)


@dataclass(frozen=True)
class Line:
    """A line through points; ``dashes`` is matplotlib's format."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashes: str = "-"
    marker: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes; y is logarithmic if ``log`` is true."""

    title: str
    x_label: str
    lines: Sequence[Line]
    log: bool = False


def draw(panels: Sequence[Panel], columns: int, same_y: bool = False) -> Figure:
    """Draw panels in rows of ``columns``, with ``same_y`` all on one scale; lines of one label have one colour."""
    rows = -(-len(panels) // columns)
    figure = Figure((PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    labels = list(dict.fromkeys(line.label for panel in panels for line in panel.lines))
    for index, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, index, sharey=figure.axes[0] if same_y and figure.axes else None)
        for line in panel.lines:
            colour = f"C{labels.index(line.label)}"
            axes.plot(line.x, line.y, line.dashes, marker=line.marker, color=colour, label=line.label, linewidth=1.4)
        axes.set(title=panel.title, xlabel=panel.x_label, yscale="log" if panel.log else "linear")
        if panel.log:
            axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
        axes.grid(alpha=0.3, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)), frameon=False)
    return figure


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Smooth a noisy loss: the mean of each value and those before it, ``window`` at most."""
    return [sum(values[max(0, end - window) : end]) / (end - max(0, end - window)) for end in range(1, len(values) + 1)]
