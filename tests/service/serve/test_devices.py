"""The devices and cores of a machine, and each worker's part of them."""

import asyncio
import os
from pathlib import Path

import pytest
import torch

from model_store.runtime import Runtime, choose_runtime
from service.serve.devices import available_cores, count_workers
from service.settings import Settings


def machine(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> None:
    """Pretend that torch sees so many accelerators of a kind."""
    found = torch.device(kind) if count else None
    monkeypatch.setattr("torch.accelerator.current_accelerator", lambda check_available: found)
    monkeypatch.setattr("torch.accelerator.device_count", lambda: count)
    monkeypatch.setattr(f"torch.{kind}.device_count", lambda: count)
    monkeypatch.setattr(f"torch.{kind}.is_available", lambda: bool(count))


def test_each_worker_takes_the_next_gpu_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, "cuda", 2)
    chosen = [choose_runtime("auto", "float32", index).device for index in range(4)]
    assert [str(device) for device in chosen] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert str(choose_runtime("cuda:1", "float32", 0).device) == "cuda:1"
    assert str(choose_runtime("cpu", "float32", 3).device) == "cpu"
    with pytest.raises(ValueError, match="sees 2 CUDA devices"):
        choose_runtime("cuda:2")
    with pytest.raises(ValueError, match="sees 0 XPU devices"):
        choose_runtime("xpu")


def test_other_accelerators_come_before_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, "mps", 1)
    assert choose_runtime() == Runtime(torch.device("mps:0"), torch.float16)
    machine(monkeypatch, "xpu", 2)
    assert choose_runtime(index=1) == Runtime(torch.device("xpu:1"), torch.bfloat16)
    machine(monkeypatch, "cuda", 0)
    assert choose_runtime("auto", "float32", 3).device == torch.device("cpu")


def test_as_many_workers_as_are_asked_for_or_one_for_each_gpu() -> None:
    assert asyncio.run(count_workers(Settings(workers=3))) == 3
    assert asyncio.run(count_workers(Settings(device="cpu"))) == 1


def test_gpus_are_counted_by_torch_where_there_is_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.serve.devices.DRIVERS", (os.devnull,))
    for printed, expected in (("print(8)", 8), ("print(0)", 1), ("raise SystemExit(1)", 1)):
        monkeypatch.setattr("service.serve.devices.COUNT", printed)
        assert asyncio.run(count_workers(Settings())) == expected


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "9000000 100000"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ({"cpu.max": "nonsense"}, 64),
    ],
)
def test_a_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path) == cores
