"""The training loop, one for every network. A task says what is trained and what is lost; the loop does the rest.

The loop reads as one does by hand: batch → losses → gradients → step → report → save.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model_store.runtime import Runtime, choose_runtime
from train.data import Batch, Crops, batches
from train.distributed import Rank, any_process, average_gradients
from train.recipes import Recipe, SettingError
from train.report import Report
from train.state import TrainingState

RUNNING_MEAN = 0.98
"""Share of the old value in the running means that are shown and saved."""


class Task(Protocol):
    """What is trained: a network, the terms of its loss, and pictures to look at."""

    name: str
    arguments: dict[str, Any]

    @property
    def network(self) -> nn.Module:
        """What the optimizer changes, as far as its parameters ask for gradients."""
        ...

    def to(self, device: torch.device) -> None:
        """Put the network, and all else that ``losses`` needs, where it is trained."""
        ...

    def losses(self, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Loss terms, each a scalar, before their weights.

        Args:
            content: (B, 3, H, W) in [0, 1].
            style: Like ``content``, or draws of learned styles, (B, 2): see ``train.data.Batch``.
        """
        ...

    def pictures(self, content: Tensor, style: Tensor) -> Tensor:
        """A grid that shows what the network does: (3, H, W) in [0, 1]."""
        ...


@dataclass
class Training:
    """One run of a task. ``run`` ends at the last step, at the time limit or on a signal, its state saved.

    Attributes:
        task: What is trained.
        recipe: The fixed numbers.
        crops: The data, by step.
        runtime: Device and number type of the forward pass; weights and optimizer stay fp32.
        out: Folder for ``state.pt`` and TensorBoard's files.
        rank: This process among those of the training.
        workers: Processes that decode images.
        save_every_s: Seconds between two saved states.
        max_minutes: Stop after so long; ``None`` for no limit.
        data: What is trained on, for the model card.
        resume: A state to go on from.
        on_step: Called after every step with its number, from 1, and its loss terms before their weights.
    """

    task: Task
    recipe: Recipe
    crops: Crops
    runtime: Runtime
    out: Path
    rank: Rank
    workers: int
    save_every_s: float
    max_minutes: float | None
    data: dict[str, Any]
    resume: TrainingState | None = None
    on_step: Callable[[int, dict[str, float]], None] | None = None
    _step: int = 0
    _seconds: float = 0.0
    _losses: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put the network on its device and take up the resumed state."""
        self.task.to(self.runtime.device)
        self.task.network.train()
        self._parameters = [parameter for parameter in self.task.network.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.Adam(self._parameters, lr=self.recipe.peak_lr, betas=self.recipe.betas)
        if self.resume is not None:
            self.task.network.load_state_dict(self.resume.network)
            self._optimizer.load_state_dict(self.resume.optimizer)
            self._step, self._seconds, self._losses = self.resume.step, self.resume.seconds, dict(self.resume.losses)

    def run(self) -> TrainingState:
        """Train to the end, the time limit or a signal; save and return the state."""
        started = saved = time.monotonic()
        before_s = self._seconds
        with (
            Report(self.out, self.crops.steps, self._step, enabled=self.rank.leads) as report,
            _signals() as stop,
        ):
            waiting_from = started
            for batch in batches(self.crops, self._step, self.workers, self.runtime.device.type == "cuda"):
                waited_s = time.monotonic() - waiting_from
                content, style = self._images(batch)
                learning_rate, gradient_norm = self._train_step(content, style)
                now = time.monotonic()
                self._seconds = before_s + now - started
                pairs = len(content) * self.rank.world_size
                report.step(self._losses, learning_rate, gradient_norm, pairs, waited_s, batch.unreadable)
                if report.wants_pictures(self._step):
                    report.pictures(self._step, self.task.pictures(content, style))
                if now - saved > self.save_every_s:
                    self._save()
                    saved = now
                out_of_time = self.max_minutes is not None and now - started > 60 * self.max_minutes
                if any_process(stop() or out_of_time, self.runtime.device, self.rank.world_size):
                    break
                waiting_from = time.monotonic()
        return self._save()

    def _images(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch on the device, its pixels as the networks take them: fp32 in [0, 1]."""
        content, style = (tensor.to(self.runtime.device, non_blocking=True) for tensor in (batch.content, batch.style))
        return content.float() / 255, style.float() / 255 if style.dtype == torch.uint8 else style

    def _train_step(self, content: Tensor, style: Tensor) -> tuple[float, float]:
        """One step of Adam; returns learning rate and gradient norm."""
        learning_rate = self.recipe.learning_rate(self._step, self.crops.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        half = self.runtime.dtype != torch.float32
        with torch.autocast(self.runtime.device.type, self.runtime.dtype, enabled=half):
            losses = self.task.losses(content, style)
        loss = torch.stack([self.recipe.weights[name] * value for name, value in losses.items()]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self._parameters, self.rank.world_size)
        norm = nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"step {self._step}: the gradient is {norm.item()}; try a lower --peak-lr")
        self._optimizer.step()
        self._step += 1
        values = {name: value.item() for name, value in losses.items()}
        for name, now in values.items():
            self._losses[name] = RUNNING_MEAN * self._losses.get(name, now) + (1 - RUNNING_MEAN) * now
        if self.on_step is not None:
            self.on_step(self._step, values)
        return learning_rate, norm.item()

    def _save(self) -> TrainingState:
        state = TrainingState(
            task=self.task.name,
            arguments=self.task.arguments,
            recipe=self.recipe,
            steps=self.crops.steps,
            step=self._step,
            seconds=self._seconds,
            losses=dict(self._losses),
            data=self.data,
            network=self.task.network.state_dict(),
            optimizer=self._optimizer.state_dict(),
        )
        if self.rank.leads:
            state.save(self.out / "state.pt")
        return state


def training_runtime(device: str, dtype: str) -> Runtime:
    """Like ``choose_runtime``, but never fp16, in which gradients overflow.

    Raises:
        SettingError: The device is not there, or the type is unknown or fp16.
    """
    try:
        runtime = choose_runtime(device, dtype)
    except ValueError as err:
        raise SettingError(str(err)) from err
    if runtime.dtype != torch.float16:
        return runtime
    if dtype != "auto":
        raise SettingError("--dtype float16: gradients overflow in it; use bfloat16 or float32")
    return Runtime(runtime.device, torch.float32)


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the training after the current step; a second one ends it at once."""
    received = []

    def note(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {}
    for wanted in (signal.SIGINT, signal.SIGTERM):
        before[wanted] = signal.signal(wanted, note)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
