"""Process of a worker: loads the networks and runs the pipeline until a signal, or until its device fails."""

import asyncio
import logging
import os
import platform
import signal

from model_store.catalog import default_folder
from model_store.runtime import choose_runtime, keep_freed_memory, share_device
from service.engine.stylizer import Stylizer
from service.queue.queue import JobQueue
from service.serve.devices import available_cores
from service.settings import Settings
from service.worker.device import DeviceFailed
from service.worker.pipeline import Worker

EXIT_DEVICE_FAILED = 70

log = logging.getLogger(__name__)


def run_worker(settings: Settings, redis_url: str, index: int) -> None:
    """Work until SIGTERM or SIGINT; exits with ``EXIT_DEVICE_FAILED`` if the device fails.

    Args:
        settings: The settings.
        redis_url: URL of the queue.
        index: Number of this worker among those of this machine, from 0: it chooses the GPU.

    Raises:
        CatalogError: There is no usable checkpoint.
        ValueError: There is no such device.
    """
    keep_freed_memory()
    runtime = choose_runtime(settings.device, settings.dtype, index)
    share_device(runtime, settings.device_memory_fraction, available_cores() // (settings.workers or 1))
    stylizer = Stylizer(
        settings.checkpoints or default_folder(),
        runtime,
        settings.style_cache_entries,
        settings.model_memory_mb * 2**20,
        settings.tile_px,
        settings.backend,
        settings.warm_up_px,
    )
    try:
        asyncio.run(_serve_queue(settings, redis_url, stylizer))
    except DeviceFailed as err:
        # The device's thread may hang: exit without waiting for it. Other workers get the jobs when the lease ends.
        log.critical("the device failed: %s", err)
        logging.shutdown()
        os._exit(EXIT_DEVICE_FAILED)


async def _serve_queue(settings: Settings, redis_url: str, stylizer: Stylizer) -> None:
    queue = JobQueue(redis_url, settings, f"{platform.node()}-{os.getpid()}-{os.urandom(3).hex()}")
    worker = Worker(queue, stylizer, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    try:
        await worker.run()
    finally:
        await queue.close()
