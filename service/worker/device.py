"""``Device``: the thread in which the networks run. A job may fail alone; a device that fails ends the process."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from PIL import Image

from service.engine.stylizer import Stylizer
from service.errors import JobFailed, ServiceError
from service.worker.batching import BatchLimits
from service.worker.codecs import Decoded

NO_MEMORY = "the device has not enough memory for this size: ask for a smaller one"

T = TypeVar("T")
Outcome = Image.Image | ServiceError
log = logging.getLogger(__name__)


class DeviceFailed(Exception):
    """The device is in an unknown state: only a new process may use it again."""


class Device:
    """One device, used by one call at a time.

    Attributes:
        limits: Most images and pixels of a batch; halved when the device runs out of memory.
        lock: Held by the user of the device: a batch, or a step of a long job.
    """

    def __init__(self, stylizer: Stylizer, limits: BatchLimits, timeout_s: float) -> None:
        """``timeout_s`` is for one call."""
        self.limits = limits
        self.lock = asyncio.Lock()
        self._stylizer = stylizer
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "device")

    async def run(self, call: Callable[[], T], timeout_s: float | None = None) -> T:
        """Run a call in the device's thread; ``None`` sets no time limit.

        Raises:
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except TimeoutError as err:
            raise DeviceFailed(f"a forward pass took more than {timeout_s:g} s") from err
        except Exception as err:
            if isinstance(err, torch.AcceleratorError) or "CUDA error" in str(err):  # and so will all further calls
                raise DeviceFailed(str(err)) from err
            raise

    async def forward(self, batch: Sequence[Decoded]) -> list[Outcome]:
        """Stylize a batch; one that fails is tried one by one, so that one job fails alone.

        Returns:
            Images and errors, in the batch's order.

        Raises:
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        model, inputs = batch[0].shape.model, [job.input for job in batch]
        try:
            return list(await self.run(lambda: self._stylizer.paint(model, inputs), self._timeout_s))
        except DeviceFailed:
            raise
        except torch.OutOfMemoryError:
            return await self._forward_halves(batch)
        except ServiceError as err:  # about the checkpoint or a style: the stylizer has logged it
            failure = err
        except Exception:
            log.exception("a batch failed", extra={"request_ids": [job.parameters.request_id for job in batch]})
            failure = JobFailed("the picture could not be painted")
        if len(batch) == 1:
            return [failure]
        return [outcome for job in batch for outcome in await self.forward([job])]

    async def _forward_halves(self, batch: Sequence[Decoded]) -> list[Outcome]:
        """Halve this batch and all later ones: the device is out of memory."""
        self.limits = self.limits.halved()
        log.warning("out of memory: batches are halved", extra={"limits": str(self.limits), "batch": len(batch)})
        torch.accelerator.empty_cache()
        if len(batch) == 1:
            return [JobFailed(NO_MEMORY)]
        half = (len(batch) + 1) // 2
        return await self.forward(batch[:half]) + await self.forward(batch[half:])

    async def step(self, call: Callable[[], None]) -> None:
        """Take a long job's step.

        Raises:
            ServiceError: The job has failed; this is its result.
            DeviceFailed: The device can no longer be trusted, or does not answer.
        """
        try:
            await self.run(call, self._timeout_s)
        except (DeviceFailed, ServiceError):
            raise
        except torch.OutOfMemoryError as err:
            torch.accelerator.empty_cache()
            raise JobFailed(NO_MEMORY) from err
        except Exception as err:
            log.exception("a step of a long job failed")
            raise JobFailed("the picture could not be painted") from err
