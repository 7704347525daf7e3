"""Image files of every kind to pixels and back; and what is refused."""

import time
import tracemalloc
import zlib
from io import BytesIO

import image_files as files
import numpy as np
import pytest
from PIL import Image

from model_store.image_files import DecodedImage
from service.errors import InvalidField, PayloadTooLarge, ServiceError, UnsupportedImage
from service.formats import FORMATS, choose_format
from service.images import Header, ImageLimits, decode, decode_mask, encode, fitted, read_header

LIMITS = ImageLimits(max_bytes=2**20, max_pixels=1_000_000)


def header_of(data: bytes) -> Header:
    return read_header(data, "content", LIMITS)


def decoded(data: bytes, longer_px: int = 96) -> DecodedImage:
    return decode(data, "content", LIMITS, longer_px)


def is_near(got: object, expected: object, tolerance: float) -> bool:
    return bool(np.abs(np.asarray(got, dtype=float) - np.asarray(expected, dtype=float)).max() <= tolerance)


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


# ---- what works ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_upright_picture(orientation: int, format: str) -> None:
    data = files.oriented(orientation, format)
    header = header_of(data)
    assert (header.format, header.width, header.height, header.has_alpha) == (format, 96, 64, False)
    picture = decoded(data, 48)
    assert picture.rgb.size == (48, 32)
    assert is_near(files.corner_colours(picture.rgb), files.CORNERS, 3)


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    assert is_near(files.corner_colours(decoded(files.oriented(orientation)).rgb), files.CORNERS, 3)


@pytest.mark.parametrize("value", [0, 1000, 32768, 50_000, 65535])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(value: int) -> None:
    picture = decoded(files.grey16(value))
    assert is_near(picture.rgb.getpixel((5, 5)), [value / 257] * 3, 1)
    assert picture.alpha is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (files.saved(files.corners().convert("L")), [76, 150, 29, 226]),
        (files.saved(files.corners().convert("L").point(lambda value: 255 * (value > 100)).convert("1")), [0, 255] * 2),
        (files.saved(files.corners().convert("L"), "jpeg", quality=95), [76, 150, 29, 226]),
        (files.rgb16((65535, 32768, 257)), [(255, 128, 1)] * 4),
        (files.palette(with_alpha=False), files.CORNERS),
        (files.cmyk_jpeg(), [(231, 23, 34), (0, 162, 81), (52, 55, 144), (255, 241, 0)]),  # as a press prints them
        (files.stereo_jpeg(), files.CORNERS),
        (files.saved(files.corners(), "jpeg", quality=95, subsampling=0, progressive=True), files.CORNERS),
        (files.saved(files.corners().convert("RGBA")), files.CORNERS),
    ],
    ids=["L", "1", "L-jpeg", "RGB-16-bit", "P", "CMYK", "MPO", "progressive", "opaque-RGBA"],
)
def test_every_mode_gives_its_colours(data: bytes, expected: list) -> None:
    header = header_of(data)
    picture = decoded(data)
    assert (header.width, header.height) == picture.rgb.size == (96, 64)
    assert picture.rgb.mode == "RGB"
    assert picture.alpha is None, "nothing is transparent"
    colours = [(value,) * 3 if isinstance(value, int) else value for value in expected]
    assert is_near(files.corner_colours(picture.rgb), colours, 3)


@pytest.mark.parametrize(
    "data",
    [
        files.saved(files.transparent()),
        files.saved(files.transparent(), "webp", lossless=True),
        files.saved(files.transparent(), "avif", quality=100, subsampling="4:4:4"),
        files.saved(files.transparent().convert("LA")),
        files.saved(files.transparent().convert("PA").convert("RGBA")),
    ],
    ids=["RGBA", "webp", "avif", "LA", "PA"],
)
def test_transparency_is_kept_without_a_dark_halo(data: bytes) -> None:
    assert header_of(data).has_alpha
    picture = decoded(data, 40)
    assert picture.alpha is not None
    assert picture.alpha.size == picture.rgb.size == (40, 27)
    assert picture.alpha.getpixel((20, 13)) == 255
    assert picture.alpha.getpixel((1, 1)) == 0
    # Black lies under what is transparent: the disc must not darken towards its edge, nor the rest be black.
    difference = np.abs(np.asarray(picture.rgb, dtype=float) - np.asarray(picture.rgb)[13, 20]).max(axis=2)
    opacity = np.asarray(picture.alpha, dtype=float) / 255
    assert (difference * opacity).max() < 12
    assert difference[opacity == 0].max() < 40


def test_a_transparent_palette_entry_is_transparent() -> None:
    picture = decoded(files.palette(with_alpha=True))
    assert header_of(files.palette(with_alpha=True)).has_alpha
    assert picture.alpha is not None
    assert [picture.alpha.getpixel(place) for place in ((2, 2), (93, 2), (2, 61))] == [0, 255, 255]
    assert is_near(files.corner_colours(picture.rgb)[1:], files.CORNERS[1:], 3)


@pytest.mark.parametrize(
    "data",
    [
        files.keyed(1, 0, b"\xff", b"\0", (1,)),
        files.keyed(2, 0, b"\x55\x55", b"\xff\xff", (1,)),
        files.keyed(4, 0, b"\x33" * 4, b"\xcc" * 4, (3,)),
        files.keyed(8, 0, b"\x09" * 8, b"\x64" * 8, (9,)),
        files.keyed(16, 0, b"\x80\x00" * 8, b"\xff\xff" * 8, (0x8000,)),
        files.keyed(8, 2, b"\1\2\3" * 8, b"\3\2\1" * 8, (1, 2, 3)),
        files.keyed(16, 2, b"\x80\0\x40\0\xff\xff" * 8, b"\0\0\0\0\xff\xff" * 8, (0x8000, 0x4000, 0xFFFF)),
    ],
    ids=["grey-1", "grey-2", "grey-4", "grey-8", "grey-16", "colour-8", "colour-16"],
)
def test_a_transparent_colour_is_transparent_at_every_depth(data: bytes) -> None:
    assert header_of(data).has_alpha
    alpha = decoded(data, 16).alpha
    assert alpha is not None
    assert alpha.tobytes() == (bytes(8) + b"\xff" * 8) * 16


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_applied_with_and_without_transparency(mode: str) -> None:
    grey = Image.new("L", (16, 16), 55)
    image = grey if mode == "L" else Image.merge("LA", (grey, Image.new("L", (16, 16), 200)))
    picture = decoded(files.saved(image, icc_profile=files.grey_profile()), 16)
    assert is_near(picture.rgb.getpixel((8, 8)), (128, 128, 128), 1)


@pytest.mark.parametrize("key", [b"transparency", b"icc_profile", b"exif", b"interlace"])
@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_a_text_is_not_taken_for_what_its_name_says(kind: bytes, key: bytes) -> None:
    between = {b"tEXt": b"\0", b"zTXt": b"\0\0", b"iTXt": b"\0" * 5}[kind]
    text = zlib.compress(b"nonsense") if kind == b"zTXt" else b"nonsense"
    chunks = files.chunk(kind, key + between + text)
    data = files.png_of(16, 16, data=zlib.compress((b"\0" + b"\1\2\3" * 16) * 16), chunks=chunks)
    assert not header_of(data).has_alpha
    picture = decoded(data, 16)
    assert picture.alpha is None
    assert picture.rgb.getpixel((0, 0)) == (1, 2, 3)


def test_a_picture_of_which_nothing_can_be_seen() -> None:
    picture = decoded(files.saved(Image.new("RGBA", (96, 64), (9, 9, 9, 0))))
    assert picture.alpha is not None
    assert picture.alpha.getextrema() == (0, 0)
    assert picture.rgb.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("format", FORMATS)
def test_a_colour_profile_is_applied(format: str) -> None:
    data = files.saved(files.corners(), format, icc_profile=files.swapped_profile(), quality=95)
    swapped = [files.GREEN, files.RED, files.BLUE, files.YELLOW]
    assert is_near(files.corner_colours(decoded(data).rgb), swapped, 6)


def test_a_colour_profile_is_applied_beside_transparency() -> None:
    data = files.saved(files.transparent(), icc_profile=files.swapped_profile())
    assert is_near(decoded(data).rgb.getpixel((48, 32)), files.GREEN, 3)


@pytest.mark.parametrize("profile", [b"nonsense", files.swapped_profile()[:200], files.swapped_profile()[:-300]])
def test_a_broken_profile_costs_no_picture(profile: bytes) -> None:
    picture = decoded(files.saved(files.corners(), icc_profile=profile)).rgb
    assert picture.mode == "RGB"
    assert picture.getpixel((2, 61)) == files.BLUE


def test_a_profile_that_does_not_fit_the_pixels_is_ignored() -> None:
    data = files.saved(files.corners().convert("L"), icc_profile=files.swapped_profile())
    assert is_near(decoded(data).rgb.getpixel((2, 2)), (76, 76, 76), 1)


def test_a_jpeg_decoded_at_a_reduced_size_is_nearly_the_same_picture() -> None:
    photo = files.photo(800, 600)
    reduced = decoded(files.saved(photo, "jpeg", quality=95), 96).rgb
    full = photo.resize((96, 72), Image.Resampling.LANCZOS)
    assert reduced.size == full.size
    assert mean_difference(reduced, full) < 1.5


@pytest.mark.parametrize(
    ("width", "height", "longer_px", "expected"),
    [
        (96, 64, 96, (96, 64)),
        (96, 64, 50, (50, 33)),
        (64, 96, 333, (222, 333)),
        (101, 99, 100, (100, 98)),
        (64, 8, 64, (64, 8)),
        (3, 3, 128, (128, 128)),
        (1, 1, 512, (512, 512)),
    ],
)
def test_the_result_has_exactly_the_size_that_was_announced(
    width: int, height: int, longer_px: int, expected: tuple[int, int]
) -> None:
    header = header_of(files.saved(files.photo(width, height)))
    assert fitted(header.width, header.height, longer_px) == expected
    for format in ("png", "jpeg"):
        assert decoded(files.saved(files.photo(width, height), format), longer_px).rgb.size == expected


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_file_says_so(format: str) -> None:
    data = files.truncated(files.saved(files.photo(300, 200), format, quality=90))
    with pytest.raises(InvalidField, match=r"ends early or is damaged|header is damaged") as caught:
        decoded(data)
    assert caught.value.field == "content"
    assert "send the whole file" in caught.value.detail


def test_the_header_is_read_without_the_pixels() -> None:
    data = files.png_of(900, 800, data=b"no pixels at all")
    started = time.monotonic()
    header = header_of(data)
    assert time.monotonic() - started < 0.1
    assert (header.width, header.height) == (900, 800)
    with pytest.raises(InvalidField, match="png data ends early or is damaged"):
        decoded(data)


@pytest.mark.parametrize("data", [files.huge_png(), files.huge_webp()], ids=["png", "webp"])
def test_too_many_pixels_cost_no_memory(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidField) as caught:
        decoded(data)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**20
    side = "30000" if data.startswith(b"\x89PNG") else "16383"
    assert f"{side} × {side} pixels" in caught.value.detail
    assert "at most 1000000 are allowed" in caught.value.detail


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_an_animation_says_how_many_frames_it_has(format: str) -> None:
    with pytest.raises(InvalidField, match="an animation of 3 frames: send one frame"):
        header_of(files.animation(format))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (files.saved(files.photo(), "GIF"), "a GIF"),
        (files.saved(files.photo(), "BMP"), "a BMP"),
        (files.saved(files.photo(), "TIFF"), "a TIFF"),
        (b"I am not a photo.\n", "a text"),
        (b"%PDF-1.7 and so on \xff\xfe", "a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"\n<!DOCTYPE html><title>Not found</title>", "an HTML page"),
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC"),
        (b"\0\0\0\x1cftyphevc\0\0\0\0msf1hevcheic" + bytes(72), "a HEIC"),  # a burst
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(72), "a HEIC"),
        (b"\0\0\0\x1cftypmsf1\0\0\0\0msf1heismif1" + bytes(72), "a HEIC"),
        (b"\0\0\0\x14ftypavci\0\0\0\0mif1" + bytes(72), "a HEIC"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(72), "a video"),
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "a JPEG XL"),
        (bytes(range(128, 192)), "a file of no image type that we know"),
    ],
)
def test_another_type_of_file_is_named(data: bytes, named: str) -> None:
    with pytest.raises(UnsupportedImage) as caught:
        header_of(data)
    assert caught.value.detail.startswith(f"got {named}")
    assert "allowed are jpeg, png, webp, avif: convert the file" in caught.value.detail


def test_an_empty_file() -> None:
    with pytest.raises(InvalidField, match="the file is empty"):
        header_of(b"")


def test_too_many_bytes() -> None:
    with pytest.raises(PayloadTooLarge, match="got 1048577 bytes, at most 1048576 are allowed"):
        header_of(bytes(2**20 + 1))


@pytest.mark.parametrize("size", [(810, 100), (8, 80)])
def test_too_long_a_shape(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidField, match=rf"{size[0]} × {size[1]} pixels, at most 8:1"):
        header_of(files.saved(files.photo(*size)))


def test_a_jpeg_of_countless_scans_is_refused_before_they_are_decoded() -> None:
    for read in (header_of, decoded):
        with pytest.raises(InvalidField, match="more than 64 scans: save it again"):
            read(files.many_scans(1000))
    assert decoded(files.many_scans(20)).rgb.size == (96, 64)


def test_what_looks_like_scans_behind_the_picture_is_none() -> None:
    film = b"\xff\xda" * 1000  # phones append one to a motion photo
    assert decoded(files.saved(files.photo(), "jpeg") + film).rgb.size == (96, 64)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.JpegImagePlugin")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.PngImagePlugin")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL.Image")
def test_damaged_files_raise_our_errors_only() -> None:
    outcomes = {"read": 0, "refused": 0}
    started = time.monotonic()
    for data in files.damaged(300, seed=7):
        for read in (header_of, decoded):
            try:
                read(data)
            except ServiceError as err:
                assert err.status in (413, 415, 422)
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
    assert time.monotonic() - started < 10
    assert min(outcomes.values()) > 50, "the mutations are either too gentle or too coarse"


# ---- what is written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("read", FORMATS)
def test_no_metadata_is_written(read: str, written: str) -> None:
    data = files.with_metadata(read)
    assert b"SECRET" in data or read == "png"  # which may compress its texts
    answer = encode(decoded(data), written, None)
    image = Image.open(BytesIO(answer))
    image.load()
    assert not {"exif", "icc_profile", "xmp", "comment", "dpi", "Comment"} & image.info.keys()
    assert not image.getexif()
    for trace in (b"SECRET", b"Exif", b"ICC_PROFILE", b"iCCP", b"ICCP", b"xmpmeta"):
        assert trace not in answer


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_what_was_painted(format: str) -> None:
    photo = files.photo(75, 53)
    picture = decoded(encode(DecodedImage(photo, None), format, 95), 75)
    assert picture.rgb.size == (75, 53)
    assert picture.alpha is None
    assert mean_difference(picture.rgb, photo) < (0.01 if format == "png" else 4)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_quality_costs_bytes(format: str) -> None:
    photo = DecodedImage(files.photo(200, 200), None)
    sizes = [len(encode(photo, format, quality)) for quality in (10, 50, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_among_accepted_equals_transparency_is_kept() -> None:
    assert choose_format("image/jpeg, image/webp", None, content_has_alpha=True) == "webp"
    assert choose_format("image/jpeg, image/webp", None, content_has_alpha=False) == "jpeg"
    assert choose_format("image/jpeg, image/webp;q=0.9", None, content_has_alpha=True) == "jpeg"


@pytest.mark.parametrize("format", FORMATS)
def test_transparency_is_written_or_becomes_white(format: str) -> None:
    disc = files.transparent()
    picture = DecodedImage(Image.new("RGB", disc.size, "red"), disc.getchannel("A"))
    answer = decoded(encode(picture, format, 95))
    if FORMATS[format].has_alpha:
        assert answer.alpha is not None
        assert is_near(answer.alpha, picture.alpha, 8)
    else:
        assert answer.alpha is None
        assert is_near(answer.rgb.getpixel((2, 2)), (255, 255, 255), 3)
    assert is_near(answer.rgb.getpixel((48, 32)), files.RED, 4)


# ---- masks --------------------------------------------------------------------------------------------------------


def half_white(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Its left is white."""
    image = Image.new("L", size, 0)
    image.paste(255, (0, 0, size[0] // 2, size[1]))
    return image


def levels(data: bytes, size: tuple[int, int] = (40, 20)) -> np.ndarray:
    mask = decode_mask(data, "mask", LIMITS, size)
    assert (mask.mode, mask.size) == ("L", size)
    return np.asarray(mask)


WANTED = np.asarray(half_white())


@pytest.mark.parametrize(
    "data",
    [
        files.saved(half_white()),
        files.saved(half_white().convert("RGB")),
        files.saved(half_white().convert("1")),
        files.saved(half_white().convert("P")),
        files.saved(Image.fromarray(np.asarray(half_white(), np.uint16) * 257)),
        files.saved(half_white(), "webp", lossless=True),
        files.saved(Image.merge("LA", (Image.new("L", (40, 20), 255), half_white()))),
        files.saved(half_white(), icc_profile=files.grey_profile()),
    ],
    ids=["grey", "rgb", "bilevel", "palette", "16-bit", "webp", "transparent", "profile"],
)
def test_a_mask_of_any_kind_is_its_grey_levels(data: bytes) -> None:
    assert np.abs(levels(data).astype(int) - WANTED).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_upright(orientation: int) -> None:
    turned = files.oriented(orientation, "webp", half_white().convert("RGB"))
    assert np.abs(levels(turned).astype(int) - WANTED).max() <= 2


@pytest.mark.parametrize("size", [(400, 200), (80, 20), (20, 10), (4, 2), (1000, 20)])
def test_a_mask_is_resized_whatever_its_shape(size: tuple[int, int]) -> None:
    resized = levels(
        files.saved(half_white(size)) if max(size) <= 8 * min(size) else files.saved(half_white((160, 20)))
    )
    assert np.abs(resized[:, :10].astype(int) - 255).max() <= 1 and resized[:, 30:].max() <= 1
    assert np.diff(resized.astype(int), axis=1).max() <= 0, "no bright and dark lines along the edge"


def test_a_large_jpeg_is_a_mask_too() -> None:
    resized = levels(files.saved(half_white((800, 400)), "jpeg", quality=95))
    assert np.abs(resized.astype(int) - WANTED).max() <= 6


@pytest.mark.parametrize("format", files.FORMATS)
def test_a_mask_that_is_cut_says_so(format: str) -> None:
    with pytest.raises(InvalidField, match="send the whole file") as caught:
        levels(files.truncated(files.saved(files.photo(400, 300), format)))
    assert caught.value.field == "mask"
