"""The training loop, one for every network. A task defines the network and its losses; the loop does the rest.

Each iteration: batch → losses → gradients → step → report → save.
"""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_store.pixels import from_bytes
from model_store.runtime import Runtime, choose_runtime
from train.average import WeightAverage
from train.data import Batch, Crops, batches
from train.distributed import Rank, any_process, average_gradients
from train.recipe import Recipe, SettingError
from train.report import Report
from train.state import TrainingState

RUNNING_MEAN = 0.98
"""Weight of the old value in the running means that are shown and saved."""


class Task(ABC):
    """A network, the terms of its loss, and sample images.

    Attributes:
        name: Name of the network's class in ``model_store.checkpoint.NETWORKS``.
        network: The network; the optimiser changes the parameters that require gradients.
        arguments: Arguments that rebuild the network.
        fill_steps: Steps before the first whose batches only fill the task's pools.
    """

    name: str
    network: nn.Module
    arguments: dict[str, Any]
    fill_steps = 0

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move the network, and all else that ``losses`` needs, to the device."""

    def inputs(self, batch: Batch, device: torch.device) -> Sequence[Tensor]:
        """Turn a batch into the arguments of ``losses``; content and style as fp32 in [0, 1] when not overridden.

        A batch of a step below 0 gives no arguments.
        """
        content, style = (tensor.to(device, non_blocking=True) for tensor in (batch.content, batch.style))
        return from_bytes(content), from_bytes(style) if style.dtype == torch.uint8 else style

    @abstractmethod
    def losses(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Compute the loss terms, each a scalar, before their weights."""

    @abstractmethod
    def sample_images(self, *inputs: Tensor) -> Tensor:
        """Make a grid of inputs and outputs: (3, H, W) in [0, 1]."""

    def state(self) -> dict[str, Any]:
        """Return everything besides the network that a resumed training needs."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027 (most tasks have nothing to restore)
        """Restore the result of ``state``."""


@dataclass
class Training:
    """One run of a task. ``run`` ends at the last step, at the time limit or on a signal, its state saved.

    Attributes:
        task: Network and losses.
        recipe: Sizes, schedule, losses and their weights.
        crops: The data, by step.
        runtime: Device and number type of the forward pass; weights and optimizer stay fp32.
        out: Folder for ``state.pt`` and TensorBoard's files.
        rank: This process among those of the training.
        workers: Processes that decode images.
        save_every_s: Seconds between two saved states.
        max_minutes: Time limit; ``None`` for no limit.
        data: Description of the training data, for the model card.
        resume: A state to continue from.
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
        """Move the network to its device and restore the resumed state."""
        self.task.to(self.runtime.device)
        self.task.network.train()
        self._parameters = [parameter for parameter in self.task.network.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.Adam(self._parameters, lr=self.recipe.peak_lr, betas=self.recipe.betas)
        self._average = WeightAverage(self.task.network, self.recipe.average) if self.recipe.average else None
        if (resume := self.resume) is not None:
            self.task.network.load_state_dict(resume.network)
            with self._autocast():
                self.task.restore(resume.task_state)
            self._optimizer.load_state_dict(resume.optimizer)
            if self._average is not None:
                self._average.restore(resume.average)
            self._step, self._seconds, self._losses = resume.step, resume.seconds, dict(resume.losses)

    def run(self) -> TrainingState:
        """Train to the end, the time limit or a signal; save and return the state."""
        started = saved = time.monotonic()
        before_s = self._seconds
        with (
            Report(self.out, self.crops.steps, self._step, enabled=self.rank.leads) as report,
            _signals() as stop,
        ):
            waiting_from = started
            first = self._step if self.resume is not None else -self.task.fill_steps
            for batch in batches(self.crops, first, self.workers, self.runtime.device.type == "cuda"):
                waited_s = time.monotonic() - waiting_from
                with self._autocast():
                    inputs = self.task.inputs(batch, self.runtime.device)
                if batch.step < 0:
                    continue
                learning_rate, gradient_norm = self._train_step(inputs)
                now = time.monotonic()
                self._seconds = before_s + now - started
                pairs = len(inputs[0]) * self.rank.world_size
                report.step(self._losses, learning_rate, gradient_norm, pairs, waited_s, batch.unreadable)
                if report.wants_images(self._step):
                    report.images(self._step, self.task.sample_images(*inputs))
                if now - saved > self.save_every_s:
                    self._save()
                    saved = now
                out_of_time = self.max_minutes is not None and now - started > 60 * self.max_minutes
                if any_process(stop() or out_of_time, self.runtime.device, self.rank.world_size):
                    break
                waiting_from = time.monotonic()
        return self._save()

    def _train_step(self, inputs: Sequence[Tensor]) -> tuple[float, float]:
        """Take one step of Adam; returns learning rate and gradient norm."""
        learning_rate = self.recipe.learning_rate(self._step, self.crops.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        with self._autocast():
            losses = self.task.losses(*inputs)
        loss = torch.stack([self.recipe.weights[name] * value for name, value in losses.items()]).sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(self._parameters, self.rank.world_size)
        norm = nn.utils.clip_grad_norm_(self._parameters, self.recipe.clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"step {self._step}: the gradient is {norm.item()}; try a lower --peak-lr")
        self._optimizer.step()
        if self._average is not None:
            self._average.update(self.task.network)
        self._step += 1
        values = {name: value.item() for name, value in losses.items()}
        for name, now in values.items():
            self._losses[name] = RUNNING_MEAN * self._losses.get(name, now) + (1 - RUNNING_MEAN) * now
        if self.on_step is not None:
            self.on_step(self._step, values)
        return learning_rate, norm.item()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.runtime.device.type, self.runtime.dtype, enabled=self.runtime.dtype != torch.float32)

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
            average=self._average.state() if self._average is not None else {},
            task_state=self.task.state(),
        )
        if self.rank.leads:
            state.save(self.out / "state.pt")
        return state


def training_runtime(device: str, dtype: str) -> Runtime:
    """Choose a runtime like ``choose_runtime``, but never fp16, in which gradients overflow.

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
    """Make Ctrl-C and SIGTERM end the training after the current step; a second one ends it at once."""
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
