"""What the worker answers when a network or a style cannot be used: clear errors for those who asked for it alone."""

import shutil
from pathlib import Path

import pytest
import torch
from processes import photo

from model_store.runtime import Runtime
from service.engine.stylizer import Stylizer
from service.errors import ModelUnavailable
from service.queue.jobs import Job
from service.request import StylePart, StylizeParameters
from service.settings import Settings
from tests.service.worker.test_worker import work


@pytest.fixture
def folder(every_network: Path, tmp_path: Path) -> Path:
    return shutil.copytree(every_network, tmp_path / "checkpoints", ignore=shutil.ignore_patterns("adain*"))


def job(name: str, model: str, style_id: str, from_painting: bool = False) -> Job:
    parameters = StylizeParameters(
        request_id=name,
        model=model,
        width=64,
        height=48,
        styles=(StylePart(weight=1, style_id=style_id, from_painting=from_painting),),
        alpha=1.0,
        format="png",
        quality=None,
    )
    return Job(name, parameters.model_dump(), {"content": photo()})


async def errors(settings: Settings, folder: Path, jobs: list[Job]) -> dict[str, str | None]:
    results = await work(settings, Stylizer(folder, Runtime(torch.device("cpu"), torch.float32), 8), jobs)
    assert all(isinstance(result.error, ModelUnavailable | None) for result in results.values())
    return {name: result.error and result.error.detail for name, result in results.items()}


async def test_a_damaged_network_fails_its_own_jobs_alone(settings: Settings, folder: Path) -> None:
    path = folder / "ink.safetensors"
    path.write_bytes(path.read_bytes()[:-3] + b"???")
    found = await errors(
        settings, folder, [job(f"ink-{i}", "ink", "ink") for i in range(3)] + [job("sea", "coast", "sea")]
    )
    assert found.pop("sea") is None
    assert len(found) == 3 and all(
        text and text.startswith("the network 'ink' cannot be used: ink.safetensors: damaged")
        for text in found.values()
    )


async def test_a_style_that_is_gone_fails_alone_in_its_batch(settings: Settings, folder: Path) -> None:
    found = await errors(settings, folder, [job(name, "coast", name) for name in ("sea", "gone", "sky")])
    assert found == {
        "sea": None,
        "gone": "the network 'coast' has no style 'gone' now: GET /styles lists them",
        "sky": None,
    }


async def test_a_painting_that_is_gone_fails_its_jobs(settings: Settings, folder: Path) -> None:
    found = await errors(settings, folder, [job("a", "coast", "sea", from_painting=True), job("b", "coast", "sky")])
    assert found == {"a": "the painting of 'sea' is being replaced or removed: try again", "b": None}


async def test_a_network_that_is_gone_fails_its_jobs(settings: Settings, folder: Path) -> None:
    found = await errors(settings, folder, [job("a", "adain", "first"), job("b", "ink", "ink")])
    assert found == {"a": "unknown model 'adain': known are coast, ink, noisy, old", "b": None}
