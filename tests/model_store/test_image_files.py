"""Image files as serving and training read them: the same pixels, crops, and files with too much or too little."""

import random
import struct
import zlib
from functools import partial
from pathlib import Path

import image_files as files
import numpy as np
import pytest
from paths import SHARED
from PIL import Image

from model_store.file_formats.jpeg import JpegFile
from model_store.image_files import DamagedImage, ImageFile, ImageFileError, UnknownFormat, resized
from model_store.pixels import resize
from service.errors import InvalidField, UnsupportedImage
from service.images import ImageLimits, decode, read_header
from train.data import FORMATS, DataError, list_images, open_file, random_crop
from train.images import read_image
from train.recipes import Stage

LIMITS = ImageLimits(max_bytes=2**24, max_pixels=1_000_000)
STAGE = Stage(1.0, 32, 1, (32, 40))


def served(data: bytes) -> Image.Image:
    file = ImageFile(data, FORMATS)
    return decode(data, "content", LIMITS, max(file.width, file.height)).rgb


def trained(data: bytes, folder: Path) -> Image.Image:
    (folder / "file.jpg").write_bytes(data)
    return read_image(folder / "file.jpg")


def cropped(data: bytes, folder: Path, stage: Stage = STAGE, seed: int = 0) -> np.ndarray:
    (folder / "file.jpg").write_bytes(data)
    return random_crop(folder / "file.jpg", stage, random.Random(seed)).astype(int)


# ---- one reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        files.saved(files.photo(), "jpeg"),
        files.saved(files.photo(), "webp"),
        files.saved(files.photo(), "avif"),
        files.oriented(6),
        files.oriented(7, "webp"),
        files.grey16(30_000),
        files.saved(Image.fromarray(np.arange(0, 61_440, 10, dtype=np.uint16).reshape(64, 96))),
        files.rgb16((65535, 32768, 257)),
        files.palette(with_alpha=True),
        files.saved(files.transparent()),
        files.saved(files.transparent(), "avif"),
        files.keyed(16, 0, b"\x80\x00" * 8, b"\xff\xff" * 8, (0x8000,)),
        files.cmyk_jpeg(),
        files.stereo_jpeg(),
        files.saved(files.photo(), icc_profile=files.swapped_profile()),
        files.with_metadata("png"),
    ],
)
def test_training_reads_the_pixels_that_the_service_paints(tmp_path: Path, data: bytes) -> None:
    assert trained(data, tmp_path).tobytes() == served(data).tobytes()


@pytest.mark.parametrize("value", [0, 1000, 32_768, 65_535])
def test_sixteen_bit_grey_is_scaled_in_training(tmp_path: Path, value: int) -> None:
    assert np.abs(np.asarray(trained(files.grey16(value), tmp_path)) - value / 257).max() <= 1
    assert np.abs(cropped(files.grey16(value), tmp_path) - value / 257).max() <= 1


def test_a_tiff_of_sixteen_bits_and_one_that_lies_on_its_side(tmp_path: Path) -> None:
    grey = files.saved(Image.fromarray(np.full((64, 96), 30_000, np.uint16)), "TIFF")
    assert np.abs(np.asarray(trained(grey, tmp_path)) - 30_000 / 257).max() <= 1
    assert files.corner_colours(trained(files.oriented(6, "TIFF"), tmp_path)) == files.CORNERS


def test_what_is_transparent_has_the_mean_colour_in_training(tmp_path: Path) -> None:
    disc = files.saved(files.transparent())  # red on transparent black
    assert trained(disc, tmp_path).getcolors() == [(96 * 64, files.RED)]
    assert np.abs(cropped(disc, tmp_path) - files.RED).max() <= 1


def test_other_suffixes_of_jpeg_are_found(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.JPE", "c.jpg", "d.gif"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images([tmp_path])] == ["a.jfif", "b.JPE", "c.jpg"]


# ---- crops --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["jpeg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_that_part_of_the_upright_picture(orientation: int, format: str) -> None:
    photo = files.photo(803, 601)  # of a size that no reduction divides
    data = files.oriented(orientation, format, photo)
    box = (203.25, 98.5, 603.25, 398.5)
    crop = ImageFile(data, FORMATS).read((50, 40), box, partial(resized, resample=Image.Resampling.BICUBIC)).rgb
    expected = photo.resize((50, 40), Image.Resampling.BICUBIC, box=box)
    difference = np.abs(np.asarray(crop).astype(int) - np.asarray(expected))
    assert difference.mean() < 1.5 and difference.max() < 12


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_crops_reach_all_edges_and_none_beyond(orientation: int) -> None:
    data = files.oriented(orientation, image=files.photo(75, 53))
    for box in ((0, 0, 1, 1), (74, 52, 75, 53), (0, 0, 75 + 1e-12, 53 + 1e-12), (0.1 + 0.2 + 42.7, 21, 75, 53)):
        assert ImageFile(data, FORMATS).read((8, 8), box).rgb.size == (8, 8)


@pytest.mark.parametrize(
    ("size", "needed", "expected"),
    [
        ((1600, 1200), (200, 150), 8),
        ((1600, 1200), (201, 151), 4),
        ((2048, 1365), (1024, 683), 2),
        ((2048, 1365), (1024, 684), 1),
        ((7, 7), (1, 1), 4),
        ((1600, 1200), (1601, 1201), 1),
    ],
)
def test_a_jpeg_is_decoded_as_small_as_will_do(size: tuple[int, int], needed: tuple[int, int], expected: int) -> None:
    decoded, _ = ImageFile(files.saved(files.photo(*size), "jpeg"), FORMATS).read_levels(needed)
    assert decoded.size == tuple(-(-side // expected) for side in size)


def test_random_crops_of_a_large_photo_are_at_the_scale_that_was_drawn(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1200).astype(np.uint8)[None, :, None].repeat(900, 0).repeat(3, 2)
    data = files.saved(Image.fromarray(np.ascontiguousarray(ramp)), "jpeg", quality=95)
    for seed in range(20):
        crop = cropped(data, tmp_path, Stage(1.0, 64, 1, (64, 128)), seed)
        shorter_px = random.Random(seed).randint(64, 128)
        span = abs(crop[:, -1].mean() - crop[:, 0].mean())
        assert span == pytest.approx(255 / 1200 * 900 * 63 / shorter_px, abs=3)


# ---- what is too much ---------------------------------------------------------------------------------------------


def text(kind: bytes, size: int) -> bytes:
    if kind == b"tEXt":
        return files.chunk(kind, b"Comment\0" + b"x" * size)
    if kind == b"zTXt":
        return files.chunk(kind, b"Comment\0\0" + zlib.compress(b"x" * size))
    return files.chunk(kind, b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * size))


@pytest.mark.parametrize(
    "chunks",
    [
        [text(b"tEXt", 2**21)],
        [text(b"zTXt", 2**21)],
        [text(b"iTXt", 2**21)],
        [text(b"tEXt", 2**20)] * 65,
        [files.chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(2**26)))],
        [files.chunk(b"iCCP", b"name\0\7nonsense")],
        [files.chunk(kind, b"\0") for kind in (b"pHYs", b"gAMA", b"cHRM", b"cICP", b"tIME")],
        [files.chunk(b"tEXt", b"Title\0ok")[:-4] + b"\0\0\0\0"],  # its sum is wrong
    ],
    ids=["tEXt", "zTXt", "iTXt", "65-MB", "profile", "profile-of-nonsense", "odd", "wrong-sum"],
)
@pytest.mark.parametrize("where", ["before", "behind"])
def test_metadata_of_any_size_costs_no_picture(tmp_path: Path, chunks: list[bytes], where: str) -> None:
    plain = files.saved(files.corners())
    at = 33 if where == "before" else len(plain) - 12
    data = plain[:at] + b"".join(chunks) + plain[at:]
    limits = ImageLimits(2**27, 1_000_000)
    assert read_header(data, "content", limits).width == 96
    assert decode(data, "content", limits, 96).rgb.tobytes() == files.corners().tobytes()
    assert trained(data, tmp_path).tobytes() == files.corners().tobytes()


def test_a_header_of_countless_chunks_is_refused() -> None:
    plain = files.saved(files.corners())
    with pytest.raises(InvalidField, match="got a PNG with more than 1000 chunks before its pixels: save it"):
        read_header(plain[:33] + text(b"tEXt", 1) * 20_000 + plain[33:], "content", LIMITS)


def test_training_reads_no_picture_of_too_many_pixels(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(files.huge_png())
    with pytest.raises(ImageFileError, match="30000 × 30000 pixels, at most 180000000"):
        open_file(tmp_path / "huge.png")
    with pytest.raises(DataError, match=r"huge\.png: cannot be read as an image \(got 30000 × 30000"):
        read_image(tmp_path / "huge.png")


# ---- what is too little -------------------------------------------------------------------------------------------

JPEGS = {
    "baseline": files.saved(files.photo(300, 200), "jpeg"),
    "progressive": files.saved(files.photo(300, 200), "jpeg", progressive=True),
    "restarts": files.saved(files.photo(300, 200), "jpeg", restart_marker_blocks=5),
    "both": files.saved(files.photo(300, 200), "jpeg", progressive=True, restart_marker_rows=1),
    "cmyk": files.saved(files.photo(300, 200).convert("CMYK"), "jpeg"),
}


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("behind", [b"", b"\0" * 50], ids=["nothing", "zeros"])
def test_a_jpeg_that_lost_its_end_marker_is_read(tmp_path: Path, kind: str, lost: int, behind: bytes) -> None:
    whole = JPEGS[kind]
    data = whole[:-lost] + behind
    assert served(data).tobytes() == served(whole).tobytes()
    assert trained(data, tmp_path).tobytes() == served(whole).tobytes()
    assert (cropped(data, tmp_path) == cropped(whole, tmp_path)).all()


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_whose_pixels_are_cut_is_refused(kind: str) -> None:
    whole = JPEGS[kind]
    start = whole.index(b"\xff\xda") + 14
    restarts = [at for at in range(start, len(whole) - 2) if whole[at] == 0xFF and 0xD0 <= whole[at + 1] <= 0xDA]
    places = random.Random(0).sample(range(start, len(whole) - 2), 30)
    for at in [*places, len(whole) - 4, *restarts[::9], *(place + 2 for place in restarts[::9])]:
        with pytest.raises(DamagedImage, match="jpeg data ends early or is damaged"):
            ImageFile(whole[:at], FORMATS).read()


def test_a_jpeg_that_misses_whole_scans_is_refused() -> None:
    whole = JPEGS["progressive"]
    scans = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]
    tables = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xc4"]
    for scan in scans[1:]:
        before = max(at for at in [*tables, scan] if at <= scan)  # a scan's tables stand before it
        assert not JpegFile(whole[:before]).has_all_scans()
        with pytest.raises(InvalidField, match="jpeg data ends early or is damaged: send the whole file"):
            served(whole[:before])


def test_a_cut_picture_is_skipped_by_training(tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(files.truncated(JPEGS["baseline"]))
    with pytest.raises(DataError, match=r"cut\.jpg: cannot be read as an image \(the jpeg data ends early"):
        read_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (files.saved(files.photo(), "GIF"), "a GIF"),
        (struct.pack(">I8sI8s", 24, b"ftypmif1", 0, b"mif1heic") + bytes(72), "a HEIC"),
        (b"no image at all", "a text"),
    ],
)
def test_training_names_files_of_other_types(tmp_path: Path, data: bytes, name: str) -> None:
    (tmp_path / "file.jpg").write_bytes(data)
    with pytest.raises(UnknownFormat, match=name):
        open_file(tmp_path / "file.jpg")
    with pytest.raises(DataError, match=rf"file\.jpg: cannot be read as an image \({name}"):
        read_image(tmp_path / "file.jpg")


def test_pixels_without_a_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="floating-point numbers of an unknown range: save it with 8 or 16 bits"):
        trained(files.saved(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"), tmp_path)


# ---- field --------------------------------------------------------------------------------------------------------


def field(name: str) -> Path:
    path = SHARED / "field" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def test_grey_of_sixteen_bits_from_the_field() -> None:
    path = field("grey16.png")
    assert np.asarray(read_image(path)).mean() == pytest.approx(127.5, abs=0.5)
    assert np.asarray(served(path.read_bytes())).mean() == pytest.approx(127.5, abs=0.5)


def test_metadata_from_the_field() -> None:
    path = field("itxt-xmp-2mb.png")
    assert served(path.read_bytes()).tobytes() == read_image(path).tobytes()
    assert random_crop(path, STAGE, random.Random(0)).shape == (32, 32, 3)


def test_a_burst_from_the_field() -> None:
    with pytest.raises(UnsupportedImage, match="got a HEIC"):
        read_header(field("burst-hevc.heic").read_bytes(), "content", LIMITS)


@pytest.mark.parametrize("size", [(100, 67), (151, 101), (400, 266), (110, 240)])
def test_the_fast_filter_and_pillows_give_the_same_pixels(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    fast, slow = (np.asarray(by(photo, size, None), np.int16) for by in (resize, resized))
    assert fast.shape == slow.shape
    assert np.abs(fast - slow).max() <= 2 and np.abs(fast - slow).mean() < 0.2


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_other_modes_are_resized_by_pillow(mode: str) -> None:
    photo = Image.fromarray(np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)).convert(mode)
    assert resize(photo, (40, 30)).tobytes() == resized(photo, (40, 30), None).tobytes()
