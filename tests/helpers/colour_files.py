"""Colour profiles and files whose colours are not sRGB, made from the numbers of the standards."""

import struct
import zlib

import image_files as files
import numpy as np
from PIL import Image

SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_CURVE = b"para" + struct.pack(">4xHxx5i", 3, *(round(65536 * number) for number in SRGB_NUMBERS))
LINEAR_CURVE = b"curv" + struct.pack(">4xI", 0)

# Colorants as in the profiles of makers: XYZ under D50.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
P3_XY = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
"""Of white, red, green and blue, in hundred thousandths."""

P3_TO_SRGB = np.array([[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]])
"""Linear light to linear light."""


def profile(colorants: tuple[tuple[float, ...], ...], curve: bytes, name: str) -> bytes:
    """An ICC profile of version 4 that is called so."""
    text = name.encode("utf-16-be")
    tags = {b"desc": b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(text), 28) + text + bytes(-len(text) % 4)}
    tags |= {b"wtpt": xyz((0.9642, 1.0, 0.8249))}
    tags |= {kind: xyz(colorant) for kind, colorant in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, data = struct.pack(">I", len(tags)), b""
    for kind, tag in tags.items():
        table += struct.pack(">4sII", kind, 132 + 12 * len(tags) + len(data), len(tag))
        data += tag
    size, kinds = 128 + len(table) + len(data), (b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header = struct.pack(">I4xI4s4s4s12x4s28x12s48x", size, 0x04200000, *kinds, tags[b"wtpt"][8:])
    return header + table + data


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(65536 * value) for value in values))


def plain(colour: tuple[int, int, int] | int, side_px: int = 48) -> Image.Image:
    return Image.new("L" if isinstance(colour, int) else "RGB", (side_px, side_px), colour)


def png(image: Image.Image, *chunks: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    data = files.saved(image)
    return data[:33] + b"".join(chunks) + data[33:]


def cicp(primaries: int, transfer: int) -> bytes:
    return files.chunk(b"cICP", bytes((primaries, transfer, 0, 1)))


def gama(gamma: int) -> bytes:
    return files.chunk(b"gAMA", struct.pack(">I", gamma))


def chrm(values: tuple[int, ...]) -> bytes:
    return files.chunk(b"cHRM", struct.pack(">8I", *values))


def iccp(icc: bytes) -> bytes:
    return files.chunk(b"iCCP", b"any name\0\0" + zlib.compress(icc))


def avif(image: Image.Image, primaries: int, transfer: int, **options: object) -> bytes:
    """An AVIF whose colours are given by code points; Pillow writes those of sRGB."""
    data = files.saved(image, "avif", quality=100, subsampling="4:4:4", **options)
    place = data.index(b"colrnclx") + 8
    assert data[place : place + 4] in (struct.pack(">HH", 1, 13), struct.pack(">HH", 2, 2))
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def to_light(colour: tuple[int, ...]) -> np.ndarray:
    signal = np.array(colour) / 255
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def from_light(light: np.ndarray) -> tuple[int, ...]:
    light = light.clip(0, 1)
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return tuple(int(value) for value in (signal * 255).round())


def p3_in_srgb(colour: tuple[int, ...]) -> tuple[int, ...]:
    return from_light(P3_TO_SRGB @ to_light(colour))
