"""Image files made in memory: every kind that people send, and those that they should not."""

import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
CORNERS = (RED, GREEN, BLUE, YELLOW)
"""Of ``corners()``: top left, top right, bottom left, bottom right."""

FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}


def saved(image: Image.Image, format: str = "png", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, FORMATS.get(format, format), **options)
    return file.getvalue()


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """A colour in each quarter: no two orientations look alike."""
    image = Image.new("RGB", (width, height))
    for index, colour in enumerate(CORNERS):
        left, top = (index % 2) * width // 2, (index // 2) * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def corner_colours(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    right, bottom = image.width - 3, image.height - 3
    return tuple(image.getpixel(place) for place in ((2, 2), (right, 2), (2, bottom), (right, bottom)))


def photo(width: int = 96, height: int = 64, seed: int = 1) -> Image.Image:
    """Soft blotches of random colours: compresses like a photo."""
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def oriented(orientation: int, format: str = "jpeg", image: Image.Image | None = None) -> bytes:
    """``image`` as a camera held that way stores it: upright again once its EXIF orientation is applied."""
    stored_by = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = image or corners()
    if orientation in stored_by:
        image = image.transpose(stored_by[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpeg": {"subsampling": 0, "quality": 95}, "webp": {"lossless": True}, "avif": {"quality": 95}}
    return saved(image, format, exif=exif.tobytes(), **options.get(format, {}))


def grey16(value: int, width: int = 96, height: int = 64) -> bytes:
    return saved(Image.fromarray(np.full((height, width), value, dtype=np.uint16)))


def rgb16(colour: tuple[int, int, int], width: int = 96, height: int = 64) -> bytes:
    """A PNG of 16 bits per channel, which Pillow reads and cannot write."""
    row = b"\0" + struct.pack(">3H", *colour) * width
    return png_of(width, height, depth=16, colour_type=2, data=zlib.compress(row * height))


def transparent(width: int = 96, height: int = 64) -> Image.Image:
    """An opaque red disc; around it transparent black, as editors store it."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    y, x = np.mgrid[:height, :width]
    inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2
    pixels = np.array(image)
    pixels[inside] = (*RED, 255)
    return Image.fromarray(pixels)


def keyed(depth: int, colour_type: int, sample: bytes, other: bytes, key: tuple[int, ...]) -> bytes:
    """A PNG, 16 × 16, whose left half is of the colour that its tRNS chunk declares transparent.

    Args:
        depth: Bits per channel.
        colour_type: 0 for grey, 2 for colour.
        sample: Eight pixels of that colour.
        other: Eight pixels of another.
        key: The colour in the file's depth.
    """
    data = zlib.compress((b"\0" + sample + other) * 16)
    return png_of(16, 16, depth, colour_type, data, chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))


def grey_profile() -> bytes:
    """An ICC profile of linear grey: 55 of 255 looks like sRGB's 128."""
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, 0x100)  # gamma 1.0
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, 16, b"wtpt", 172, 20) + curve + b"XYZ " + bytes(4) + d50
    header = bytearray(128)
    struct.pack_into(">I4sI4s4s4s", header, 0, 128 + len(tags), b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header[36:40] = b"acsp"
    header[68:80] = d50
    return bytes(header) + tags


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(photo(), "jpeg", progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[last:end] * count + data[end:]


def palette(with_alpha: bool) -> bytes:
    image = corners().quantize(8)
    return saved(image, transparency=image.getpixel((2, 2))) if with_alpha else saved(image)


def cmyk_jpeg() -> bytes:
    """Pillow writes CMYK the way Adobe does: with an Adobe marker, and inverted."""
    return saved(corners().convert("CMYK"), "jpeg", quality=95, subsampling=0)


def animation(format: str) -> bytes:
    frames = [photo(seed=seed) for seed in range(3)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], duration=40)


def stereo_jpeg() -> bytes:
    """Two pictures in one file of type JPEG, as phones and stereo cameras write them (MPO)."""
    return saved(corners(), "MPO", save_all=True, append_images=[corners()], quality=95, subsampling=0)


def swapped_profile() -> bytes:
    """An ICC profile whose red and green primaries are exchanged: what is tagged with it looks green for red."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {}
    for index in range(struct.unpack_from(">I", profile, 128)[0]):
        at = 132 + 12 * index
        entries[bytes(profile[at : at + 4])] = at
    profile[entries[b"rXYZ"] : entries[b"rXYZ"] + 4] = b"gXYZ"
    profile[entries[b"gXYZ"] : entries[b"gXYZ"] + 4] = b"rXYZ"
    offset, length = struct.unpack_from(">II", profile, entries[b"desc"] + 4)
    place = profile.find("sRGB".encode("utf-16-be"), offset, offset + length)
    while place >= 0:  # or else it would be taken for what it says it is
        profile[place : place + 8] = "Swap".encode("utf-16-be")
        place = profile.find("sRGB".encode("utf-16-be"), offset, offset + length)
    return bytes(profile)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(
    width: int, height: int, depth: int = 8, colour_type: int = 2, data: bytes = b"", chunks: bytes = b""
) -> bytes:
    """A PNG as its header says, with ``data`` for pixels, whatever that is, and ``chunks`` before them."""
    header = struct.pack(">2I5B", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def huge_png() -> bytes:
    """30,000 × 30,000 pixels in a hundred bytes."""
    return png_of(30_000, 30_000, data=zlib.compress(b"\0" * 64))


def huge_webp() -> bytes:
    """A lossless WebP whose header says 16,383 × 16,383 pixels."""
    data = bytearray(saved(Image.new("RGB", (64, 64), "red"), "webp", lossless=True))
    place = data.index(b"VP8L") + 9
    data[place : place + 4] = struct.pack("<I", 16_382 | 16_382 << 14)
    return bytes(data)


def truncated(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def with_metadata(format: str) -> bytes:
    """A picture that tells where and with what it was taken."""
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    icc = swapped_profile()
    if format == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "SECRETCOMMENT")
        text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRETXMP</x:xmpmeta>")
        return saved(photo(), format, exif=exif, icc_profile=icc, pnginfo=text, dpi=(300, 300))
    options: dict[str, object] = {"xmp": b"<x:xmpmeta>SECRETXMP</x:xmpmeta>"}
    if format == "jpeg":
        options |= {"comment": b"SECRETCOMMENT", "dpi": (300, 300)}
    return saved(photo(), format, exif=exif, icc_profile=icc, **options)


def damaged(count: int, seed: int) -> Iterator[bytes]:
    """Valid files of all four formats, some bytes changed, or cut, or both."""
    dice = random.Random(seed)
    originals = [saved(photo(80, 56), format) for format in FORMATS]
    originals += [saved(transparent(80, 56), format) for format in ("png", "webp", "avif")]
    originals += [palette(True), grey16(30_000), cmyk_jpeg(), stereo_jpeg(), oriented(6), animation("png")]
    originals += [with_metadata(format) for format in FORMATS]
    for _ in range(count):
        data = bytearray(dice.choice(originals))
        if dice.random() < 0.7:
            # Headers are short, and where the parsers are: half of the changes hit the first bytes.
            end = len(data) if dice.random() < 0.5 else min(len(data), 120)
            for _ in range(dice.choice((1, 2, 4, 16))):
                data[dice.randrange(end)] = dice.choice((0, 0xFF, 0x80, dice.randrange(256)))
        if dice.random() < 0.4:
            del data[dice.randrange(len(data)) :]
        yield bytes(data)
