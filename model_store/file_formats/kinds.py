"""The type of a file by its first bytes: tells a damaged file from one of another type, and names the latter."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A type of file.

    Attributes:
        name: Name for messages, with its article.
        pillow: Pillow's name of it, for the supported types.
    """

    name: str
    pillow: str | None = None


SIGNATURES = {
    b"\xff\xd8\xff": Kind("a JPEG", "JPEG"),
    b"\x89PNG\r\n": Kind("a PNG", "PNG"),
    b"BM": Kind("a BMP", "BMP"),
    b"II*\0": Kind("a TIFF", "TIFF"),
    b"MM\0*": Kind("a TIFF", "TIFF"),
    # Types that are not supported, and only named in messages.
    b"GIF8": Kind("a GIF"),
    b"\xff\x0a": Kind("a JPEG XL"),
    b"\0\0\0\x0cJXL ": Kind("a JPEG XL"),
    b"\0\0\0\x0cjP  ": Kind("a JPEG 2000"),
    b"8BPS": Kind("a Photoshop file"),
    b"%PDF": Kind("a PDF"),
    b"<svg": Kind("an SVG"),
    b"<?xml": Kind("an XML file"),
    b"<!DOC": Kind("an HTML page"),
    b"<html": Kind("an HTML page"),
    b"PK\x03\x04": Kind("a ZIP archive"),
}

AVIF_BRANDS = frozenset({b"avif", b"avis"})

HEIF_BRANDS = frozenset(
    # Of any codec, of AVC, VVC and EVC, of JPEG and JPEG 2000; those of HEVC begin with "he".
    b"mif1 mif2 mif3 msf1 miaf avci avcs vvic vvis evbi evbs jpeg jpgs j2ki j2is".split()
)


def file_kind(data: bytes) -> Kind:
    """Return the type of a file by its first bytes; the rest may be damaged."""
    if data[4:8] == b"ftyp":
        return _media_kind(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind("a WebP", "WEBP")
    for start in (data[:16], data[:16].lstrip()):
        for signature, kind in SIGNATURES.items():
            if start.startswith(signature):
                return kind
    is_text = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in data[:64])
    return Kind("a text" if is_text else "a file of no image type that we know, or a damaged one")


def _media_kind(data: bytes) -> Kind:
    """Tell HEIF from MP4, which share a container, by its major and compatible brands."""
    end = min(int.from_bytes(data[:4]), len(data), 1024)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & AVIF_BRANDS:
        return Kind("an AVIF", "AVIF")
    if brands & HEIF_BRANDS or any(brand.startswith(b"he") for brand in brands):
        return Kind("a HEIC (HEIF)")
    return Kind("a camera's raw file") if b"crx " in brands else Kind("a video")
