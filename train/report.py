"""Report of a training: a progress bar, log lines where there is no terminal, TensorBoard scalars and images."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter

IMAGES_EVERY_STEPS = 250
SCALARS_EVERY_STEPS = 10
LOG_EVERY_STEPS = 50


class Report(AbstractContextManager["Report"]):
    """Report of a training; silent if ``enabled`` is false, because only one process of a training reports."""

    def __init__(self, out: Path, steps: int, first_step: int, enabled: bool) -> None:
        """Open TensorBoard's file in ``out`` and a progress bar that starts at ``first_step``."""
        self._enabled = enabled
        self._steps = steps
        self._step, self._pairs, self._waited_s, self._since = first_step, 0, 0.0, monotonic()
        self._unreadable: set[Path] = set()
        if not enabled:
            return
        self._console = Console(stderr=True)
        self._writer = SummaryWriter(str(out), purge_step=first_step)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task("train", total=steps, completed=first_step, figures="")

    def __enter__(self) -> "Report":
        """Show the bar."""
        if self._enabled:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close bar and files, and print which images were skipped."""
        if not self._enabled:
            return
        self._progress.stop()
        self._writer.close()
        if self._unreadable:
            names = ", ".join(str(path) for path in sorted(self._unreadable)[:5])
            self._console.print(f"skipped {len(self._unreadable)} unreadable images, such as {names}")

    def step(
        self,
        losses: dict[str, float],
        learning_rate: float,
        gradient_norm: float,
        pairs: int,
        waited_s: float,
        unreadable: Iterable[Path],
    ) -> None:
        """Count one more step. ``waited_s`` is the time that the step waited for its data."""
        if not self._enabled:
            return
        self._step += 1
        self._pairs += pairs
        self._waited_s += waited_s
        self._unreadable.update(unreadable)
        self._progress.update(self._bar, completed=self._step)
        if self._step % SCALARS_EVERY_STEPS:
            return
        elapsed_s = monotonic() - self._since
        rate, waiting = self._pairs / elapsed_s, self._waited_s / elapsed_s
        figures = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        figures += f" · {rate:.1f} pairs/s · {waiting:.1%} waiting for data"
        self._progress.update(self._bar, figures=figures)
        scalars = {f"loss/{name}": value for name, value in losses.items()}
        scalars |= {
            "speed/pairs_per_s": rate,
            "speed/waiting": waiting,
            "lr": learning_rate,
            "gradient_norm": gradient_norm,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, self._step)
        if not self._console.is_terminal and self._step % LOG_EVERY_STEPS == 0:
            self._console.print(f"step {self._step}/{self._steps} {figures} · lr {learning_rate:.2e}", soft_wrap=True)
        self._pairs, self._waited_s, self._since = 0, 0.0, monotonic()

    def wants_images(self, step: int) -> bool:
        """Return true if this step's sample images are to be written."""
        return self._enabled and step % IMAGES_EVERY_STEPS == 0

    def images(self, step: int, grid: Tensor) -> None:
        """Write a grid of sample images, (3, H, W) in [0, 1]."""
        self._writer.add_image("content, style, result", grid, step)
