"""The devices and cores of this machine, and each worker's part of them."""

import asyncio
import os
import sys
from pathlib import Path

from service.settings import Settings

DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Device files of NVIDIA's and AMD's drivers, and of WSL2's. Without them torch is not asked: it takes seconds."""

COUNT = "import torch; print(torch.accelerator.device_count())"


async def count_workers(settings: Settings) -> int:
    """Return the number of workers to start: with ``auto`` one for each GPU, or one on the CPU."""
    if settings.workers is not None:
        return settings.workers
    has_gpu = settings.device == "auto" and (sys.platform != "linux" or any(map(os.path.exists, DRIVERS)))
    if not has_gpu:
        return 1
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", COUNT, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return max(1, int(printed)) if process.returncode == 0 else 1


def available_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of cores that this process may use: those of its affinity, within its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota in (
        _quota(cgroup / "cpu.max"),
        _quota(cgroup / "cpu/cpu.cfs_quota_us", cgroup / "cpu/cpu.cfs_period_us"),
    ):
        if quota is not None:
            cores = min(cores, max(1, round(quota)))
    return cores


def _quota(*files: Path) -> float | None:
    """Read a quota in cores: ``cpu.max`` holds microseconds and period, cgroup v1 has a file for each."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):  # no such file, or "max"
        return None
