"""``python -m service stylize``: the same work on files, in this process, without server or queue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_store.catalog import CatalogError, default_folder
from model_store.runtime import choose_runtime, keep_freed_memory
from service import images
from service.errors import InvalidField, NotFound, ServiceError
from service.formats import FORMATS
from service.images import ImageLimits, Picture
from service.job import Job
from service.requests.fields import StylizeRequest
from service.requests.parameters import job_parameters
from service.schemas import StylizeParameters
from service.settings import Settings
from service.stylizer import Stylizer
from service.work.decoding import decode_job


@dataclass(frozen=True)
class Look:
    """How all photos of one call are painted. Each style is an image file, or else an id."""

    styles: Sequence[str]
    weights: str | None
    alpha: float
    size: str
    format: str | None
    quality: int | None
    seed: int | None


@dataclass(frozen=True)
class Outcome:
    """What came of one photo: the file written and the seed of its noise, if it has one, or why there is no file."""

    photo: Path
    written: Path | None = None
    seed: int | None = None
    error: str | None = None


def plan_outputs(photos: Sequence[Path], out: Path, format: str | None) -> list[Path]:
    """Where each photo's result goes: ``out`` itself for one photo and a file name, else into the folder ``out``.

    Raises:
        InvalidField: Several photos and one file, two results of one name, or a result in a photo's place.
    """
    is_file = bool(out.suffix) and not out.is_dir()
    if is_file and len(photos) > 1:
        raise InvalidField(f"got {len(photos)} photos and the file {out}: name a folder for --out", "out")
    outputs = [out] if is_file else [out / f"{photo.stem}.{format or 'jpg'}" for photo in photos]
    if len(set(outputs)) < len(outputs):
        raise InvalidField("two photos have the same name: paint them into different folders", "out")
    originals = {photo.resolve() for photo in photos}
    if taken := next((output for output in outputs if output.resolve() in originals), None):
        raise InvalidField(f"the result would overwrite the photo {taken}: name another folder or file", "out")
    return outputs


def stylize_files(photos: Sequence[Path], outputs: Sequence[Path], look: Look, settings: Settings) -> Iterator[Outcome]:
    """Paint photo by photo; one that cannot be painted does not stop the others.

    Raises:
        NotFound: A style is neither a file nor an id.
        CatalogError: There is no usable checkpoint.
    """
    keep_freed_memory()
    stylizer = Stylizer(
        settings.checkpoints or default_folder(),
        choose_runtime(settings.device, settings.dtype),
        len(look.styles),
        settings.model_memory_mb * 2**20,
        settings.tile_px,
    )
    uploads = [Path(style).read_bytes() for style in look.styles if Path(style).is_file()]
    ids = [style for style in look.styles if not Path(style).is_file()]
    for style_id in ids:
        try:
            stylizer.catalog.style(style_id)
        except CatalogError as err:
            raise NotFound(f"there is no file {style_id!r:.80}, and as a style's id: {err}", "style") from err
    for photo, output in zip(photos, outputs, strict=True):
        try:
            asked = StylizeRequest(
                request_id=str(photo),
                content=photo.read_bytes(),
                styles=uploads,
                style_ids=ids,
                weights=look.weights,
                alpha=look.alpha,
                size=look.size,
                format=look.format or _format_of(output),
                quality=look.quality,
                accept=None,
                seed=look.seed,
            )
            output.parent.mkdir(parents=True, exist_ok=True)
            parameters = job_parameters(asked, settings, stylizer.catalog)
            output.write_bytes(_paint(asked, parameters, stylizer, settings))
        except (ServiceError, OSError) as err:
            yield Outcome(photo, error=err.detail if isinstance(err, ServiceError) else str(err))
        else:
            yield Outcome(photo, written=output, seed=parameters.seed)


def _paint(asked: StylizeRequest, parameters: StylizeParameters, stylizer: Stylizer, settings: Settings) -> bytes:
    limits = ImageLimits(settings.max_body_bytes, settings.max_image_pixels)
    decoded = decode_job(Job(asked.request_id, parameters.model_dump(), asked.blobs), stylizer, limits)
    if parameters.tiled:
        for progress in stylizer.paint_tiled(parameters.model, decoded.painting):
            painted = progress.picture
    else:
        (painted,) = stylizer.paint(parameters.model, [decoded.painting])
    return images.encode(Picture(painted, decoded.content.alpha), parameters.format, parameters.quality)


def _format_of(output: Path) -> str:
    suffix = output.suffix.lower().removeprefix(".")
    return {"jpg": "jpeg"}.get(suffix, suffix) if suffix else next(iter(FORMATS))
