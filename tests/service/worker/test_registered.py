"""A worker and registered styles: kept as a file, encoded once by a worker for each network; on a real queue."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from image_files import saved
from PIL import Image
from processes import photo

from model_store import checkpoint
from model_store.adain import AdaIN
from model_store.catalog_watch import LOOK_EVERY_S
from model_store.checkpoint_metadata import CheckpointMetadata
from model_store.runtime import Runtime
from model_store.style import Style
from service.engine.stylizer import Stylizer
from service.errors import NotFound
from service.images import ImageLimits
from service.queue.jobs import Job, Result
from service.queue.queue import JobQueue
from service.queue.styles import RegisteredStyle, StyleStore, digest_of
from service.request import StylePart, StylizeParameters
from service.settings import Settings
from service.worker.codecs import KEPT_PX, bounded_file
from service.worker.pipeline import Worker

PAINTING = photo(96, 64, seed=5)
LIMITS = ImageLimits(10**7, 10**7)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Every style image that a network encodes adds its width."""
    widths: list[int] = []
    encode = AdaIN.encode_style

    def counted(self: AdaIN, images: torch.Tensor) -> Style:
        widths.append(images.shape[-1])
        return encode(self, images)

    monkeypatch.setattr(AdaIN, "encode_style", counted)
    yield widths


@pytest.fixture
def folder(tiny_checkpoints: Path, tmp_path: Path) -> Path:
    """Checkpoints that a test may replace."""
    shutil.copytree(tiny_checkpoints, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


class QuietStylizer(Stylizer):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Runtime(torch.device("cpu"), torch.float32), 8)

    def warm_up(self, model_id: str = "") -> None:
        pass


class Stage:
    """An API's end of the queue, the store, and a worker."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.api = JobQueue(settings.redis_url or "", settings, "api")
        self.queue = JobQueue(settings.redis_url or "", settings, f"worker-{os.urandom(3).hex()}")
        self.store = StyleStore(self.api.redis, settings)
        self.worker = Worker(self.queue, QuietStylizer(folder), settings)
        self.running = asyncio.create_task(self.worker.run())

    async def result(self, job: Job) -> Result:
        await self.api.enqueue(job, 20)
        results: dict[str, Result] = {}
        while job.id not in results:
            assert not self.running.done(), self.running
            results = await self.api.take_results([job.id])
            await asyncio.sleep(0.02)
        return results[job.id]

    async def register(self, name: str = "mine") -> RegisteredStyle:
        result = await self.result(job({"upload": "style-0"}, registers=True, style=PAINTING, format="webp"))
        assert result.error is None, result.error
        painting = result.blobs["painting"]
        style = RegisteredStyle(name, "Mine", "", None, "", digest_of(painting))
        assert await self.store.add(style, painting, result.image)
        return style

    async def end(self) -> None:
        self.worker.stop()
        await self.running
        await self.api.close()
        await self.queue.close()


@asynccontextmanager
async def playing(settings: Settings, folder: Path) -> AsyncIterator[Stage]:
    """A worker of its own, that remembers nothing of another's."""
    stage = Stage(settings, folder)
    try:
        yield stage
    finally:
        await stage.end()


def job(*parts: dict, style: bytes | None = None, **changes: object) -> Job:
    values: dict[str, object] = {
        "request_id": "request",
        "model": "adain",
        "width": 64,
        "height": 48,
        "styles": tuple(StylePart(weight=1 / len(parts), **part) for part in parts),
        "alpha": 1.0,
        "format": "png",
        "quality": None,
    }
    parameters = StylizeParameters.model_validate({**values, **changes})
    blobs = {"content": photo()} | ({"style-0": style} if style is not None else {})
    return Job(os.urandom(8).hex(), parameters.model_dump(), blobs)


def pixels(result: Result) -> np.ndarray:
    assert result.error is None, result.error.detail
    return np.asarray(Image.open(BytesIO(result.image)).convert("RGB"), dtype=int)


async def test_it_paints_as_its_upload_does_and_is_encoded_once(
    settings: Settings, folder: Path, encoded: list[int]
) -> None:
    async with playing(settings, folder) as stage:
        style = await stage.register()
        preview = Image.open(BytesIO(await stage.store.preview("mine") or b""))
        assert preview.format == "WEBP" and preview.size == (64, 48)
        pixels(await stage.result(job({"style_id": style.id, "digest": style.digest})))
        assert encoded == [512], "when it was registered"
    async with playing(settings, folder) as stage:
        style = (await stage.store.find(["mine"]))["mine"]
        part = {"style_id": style.id, "digest": style.digest}
        kept = await stage.store.painting("mine")
        assert kept is not None and digest_of(kept) == style.digest
        one, again = [pixels(await stage.result(job(part))) for _ in range(2)]
        assert np.array_equal(one, again)
        assert encoded == [512, 512], "by this worker, once"
        upload = pixels(await stage.result(job({"upload": "style-0"}, style=kept)))
        assert np.array_equal(upload, one)
        assert encoded == [512, 512], "the same file is the same style"
        original = pixels(await stage.result(job({"upload": "style-0"}, style=PAINTING)))
        assert np.abs(original - one).mean() < 6, "it was kept as a JPEG"
        mixed = pixels(await stage.result(job({"upload": "style-0"}, part, {"style_id": "first"}, style=PAINTING)))
        assert not np.array_equal(mixed, one)


async def test_a_replaced_checkpoint_encodes_it_anew(settings: Settings, folder: Path, encoded: list[int]) -> None:
    async with playing(settings, folder) as stage:
        style = await stage.register()
        part = {"style_id": style.id, "digest": style.digest}
        before = pixels(await stage.result(job(part)))
        checkpoint.save(
            tiny.adain(seed=9), folder / "adain.safetensors", CheckpointMetadata(network="adain", arguments=tiny.ADAIN)
        )
        await asyncio.sleep(LOOK_EVERY_S + 0.1)
        one, again = [pixels(await stage.result(job(part))) for _ in range(2)]
        assert encoded == [512, 512], "registered, and once more"
        assert np.array_equal(one, again) and not np.array_equal(one, before)


async def test_every_network_for_any_style_paints_it(settings: Settings, folder: Path, encoded: list[int]) -> None:
    checkpoint.save(
        tiny.adain(seed=9), folder / "other.safetensors", CheckpointMetadata(network="adain", arguments=tiny.ADAIN)
    )

    async with playing(settings, folder) as stage:
        style = await stage.register()
        part = {"style_id": style.id, "digest": style.digest}
        models = ("adain", "other", "adain", "other")
        pictures = [pixels(await stage.result(job(part, model=model))) for model in models]
        assert encoded == [512, 512], "once by each"
        assert np.array_equal(pictures[0], pictures[2]) and np.array_equal(pictures[1], pictures[3])
        assert not np.array_equal(pictures[0], pictures[1])


async def test_a_style_that_is_deleted_while_a_job_waits_fails_it_with_a_clear_text(
    settings: Settings, folder: Path
) -> None:
    async with playing(settings, folder) as stage:
        result = await stage.result(job({"style_id": "gone-abc234", "digest": "0" * 64}))
        assert isinstance(result.error, NotFound) and result.error.field == "style_id"
        assert "was deleted while this waited" in result.error.detail


async def test_it_can_be_optimised_towards_since_its_painting_is_kept(settings: Settings, folder: Path) -> None:
    async with playing(settings, folder) as stage:
        style = await stage.register()
        part = {"style_id": style.id, "digest": style.digest}
        result = await stage.result(job(part, method="gatys", steps=2))
        assert result.error is None and Image.open(BytesIO(result.image)).size == (64, 48)


async def test_a_bad_file_is_named_as_the_field_that_it_came_in(settings: Settings, folder: Path) -> None:
    async with playing(settings, folder) as stage:
        result = await stage.result(job({"upload": "style-0"}, registers=True, style=PAINTING[:-40]))
        assert result.error is not None and (result.error.status, result.error.field) == (422, "image")


@pytest.mark.parametrize(("size", "kept"), [((2000, 1000), (KEPT_PX, 512)), ((300, 200), (300, 200))])
def test_what_is_kept_is_bounded_and_never_enlarged(size: tuple[int, int], kept: tuple[int, int]) -> None:
    painting = bounded_file(saved(Image.effect_noise(size, 60).convert("RGB"), "png"), LIMITS)
    with Image.open(BytesIO(painting)) as image:
        assert (image.format, image.size) == ("JPEG", kept)
    assert len(painting) < 2**20
