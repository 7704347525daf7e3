"""``Findings``: the results of an experiment, published on the terminal, as CSV, Markdown, plots and images.

{name}.md                 tables, plots and images, to read
{name}.csv                its first table; every row repeats the settings of the run
{name}-{part}.csv         further tables, and the data of the plots
{name}-{part}.png, .webp  plots and images
"""

import csv
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.table import Table

from model_store.runtime import Runtime

Value = str | int | float | None
Row = dict[str, Value]
"""A table's row, by column. ``None`` stands for values that were not measured; columns of times end in ``_s``."""

IMAGE_QUALITY = 80


@dataclass(frozen=True)
class Findings:
    """Results of an experiment.

    Attributes:
        name: Name of the experiment; its files' names start with it.
        title: Title of the page.
        settings: Sizes, steps, seeds, versions.
        tables: Tables by title, in order; rows of one table have the same columns.
        series: Data of the plots by name, written as CSV only.
        plots: Plots by name.
        images: Images by name.
    """

    name: str
    title: str
    settings: Row
    tables: Mapping[str, Sequence[Row]]
    series: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    plots: Mapping[str, Figure] = field(default_factory=dict)
    images: Mapping[str, Image.Image] = field(default_factory=dict)


def publish(findings: Findings, out: Path, console: Console) -> None:
    """Print the tables and write all files into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    start = out / findings.name
    for index, (title, rows) in enumerate(findings.tables.items()):
        console.print(rich_table(title, rows))
        suffix = f"-{_slug(title)}" if index else ""
        assert rows[0].keys().isdisjoint(findings.settings), "a setting would hide a column"
        write_csv(_named(start, f"{suffix}.csv"), [{**row, **findings.settings} for row in rows])
    for name, rows in findings.series.items():
        write_csv(_named(start, f"-{name}.csv"), rows)
    for name, figure in findings.plots.items():
        figure.savefig(_named(start, f"-{name}.png"), dpi=110)
    for name, image in findings.images.items():
        image.save(_named(start, f"-{name}.webp"), quality=IMAGE_QUALITY, method=6)
    page = _named(start, ".md")
    page.write_text(markdown(findings), encoding="utf-8")
    console.print(f"written: {page} and the files beside it", highlight=False, soft_wrap=True)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows with equal columns; ``None`` is an empty field, fractions have six significant digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {column: f"{value:.6g}" if isinstance(value, float) else value for column, value in row.items()}
            for row in rows
        )


def markdown(findings: Findings) -> str:
    """Write the page: settings, tables, plots and images."""
    settings = ", ".join(f"{_heading(name)} {_shown(value)}" for name, value in findings.settings.items())
    parts = [f"# {findings.title}", f"`python -m experiments {findings.name}`: {settings}."]
    for title, rows in findings.tables.items():
        parts += [f"## {title}", markdown_table(rows)]
    parts += [f"![{name}]({findings.name}-{name}.png)" for name in findings.plots]
    parts += [f"![{name}]({findings.name}-{name}.webp)" for name in findings.images]
    return "\n\n".join(parts) + "\n"


def markdown_table(rows: Sequence[Row]) -> str:
    """Format rows as a Markdown table, with numbers to the right."""
    columns = list(rows[0])
    rules = ["---:" if _is_number(rows, column) else "---" for column in columns]
    lines = [[_heading(column) for column in columns], rules]
    lines += [[_shown(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rich_table(title: str, rows: Sequence[Row]) -> Table:
    """Format rows as a table for the terminal."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(_heading(column), justify="right" if _is_number(rows, column) else "left")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    return table


def log(text: str) -> None:
    """Print progress on standard error: an experiment takes minutes before its first result."""
    Console(stderr=True).print(text, highlight=False)


def environment(runtime: Runtime) -> Row:
    """Device, threads, number type and versions, which figures depend on besides the experiment's own settings."""
    on_gpu = runtime.device.type == "cuda"
    cpu = f"CPU ({torch.backends.cpu.get_cpu_capability()})"
    return {
        "device": torch.cuda.get_device_name(runtime.device) if on_gpu else cpu,
        "threads": torch.get_num_threads(),
        "dtype": str(runtime.dtype).removeprefix("torch."),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _named(start: Path, ending: str) -> Path:
    return start.with_name(start.name + ending)


def _slug(title: str) -> str:
    """Return the first word in lower case: ``Contrast of the photo`` → ``contrast``."""
    return title.split()[0].lower()


def _heading(column: str) -> str:
    return column.replace("_", " ")


def _is_number(rows: Sequence[Row], column: str) -> bool:
    return not any(isinstance(row[column], str) for row in rows)


def _shown(value: Value) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
