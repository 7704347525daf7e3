"""RGB colour spaces that a file declares by numbers instead of a profile, converted to ICC profiles.

Code points are those of ITU-T H.273 (AVIF's nclx, PNG's cICP); PNG's older chunks give chromaticities and a gamma.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

XY = tuple[float, float]
Curve = Callable[[float], float]
"""Signal to light, both from 0 to 1."""

D65: XY = (0.3127, 0.3290)
C: XY = (0.310, 0.316)
D50_XYZ = (0.9642, 1.0, 0.8249)

BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""Matrix from XYZ to the cone responses in which white is adapted to D50, as ICC profiles require."""

BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
BT601 = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)

PRIMARIES: dict[int, tuple[XY, XY, XY, XY]] = {
    # Red, green, blue and white (H.273, table 2).
    1: BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: BT601,
    7: BT601,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),  # BT.2020
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),  # CIE XYZ
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # cinema P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}

WHITE_NITS = 203.0
"""Luminance of a page's white in HDR (ITU-R BT.2408), which becomes 1."""

PEAK_NITS = 1000.0
"""Luminance in HDR from which light becomes white."""

SAMPLES = 4 * 255 + 1
"""Number of samples of a curve in a profile: each of the 8-bit values is one."""


def srgb(signal: float) -> float:
    """Curve of IEC 61966-2-1."""
    return signal / 12.92 if signal <= 0.04045 else float(((signal + 0.055) / 1.055) ** 2.4)


def gamma(exponent: float) -> Curve:
    """Return a power curve."""
    return lambda signal: float(signal**exponent)


def smpte240(signal: float) -> float:
    """Curve of SMPTE ST 240."""
    return signal / 4 if signal < 4 * 0.0228 else float(((signal + 0.1115) / 1.1115) ** (1 / 0.45))


def pq(signal: float) -> float:
    """Curve of SMPTE ST 2084, with its highlights compressed."""
    power = signal ** (1 / 78.84375)
    nits = 10_000 * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return _compressed(float(nits))


def hlg(signal: float) -> float:
    """Curve of ARIB STD-B67 on a screen of 1000 nits (ITU-R BT.2100), with its highlights compressed."""
    light = signal**2 / 3 if signal <= 0.5 else (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return _compressed(PEAK_NITS * float(light**1.2))


def _compressed(nits: float) -> float:
    """Compress light up to ``PEAK_NITS`` to 0 to 1, by the extended curve of Reinhard et al. (2002), equation 4."""
    light, peak = nits / WHITE_NITS, PEAK_NITS / WHITE_NITS
    return min(1.0, light * (1 + light / peak**2) / (1 + light))


CURVES: dict[int, Curve] = {
    # Transfer characteristics (H.273, table 3). Those of television are missing: browsers show them with sRGB's curve.
    4: gamma(2.2),
    5: gamma(2.8),
    7: smpte240,
    8: gamma(1.0),
    9: lambda signal: float(10 ** (2 * (signal - 1))) if signal > 0 else 0.0,
    10: lambda signal: float(10 ** (2.5 * (signal - 1))) if signal > 0 else 0.0,
    16: pq,
    17: lambda signal: min(1.0, float(52.37 / 48 * signal**2.6)),
    18: hlg,
}


@dataclass(frozen=True)
class ColourSpace:
    """Chromaticities of red, green, blue and white, and the curve of all three channels."""

    primaries: tuple[XY, XY, XY, XY]
    curve: Curve

    def to_profile(self, is_grey: bool) -> bytes:
        """Build an ICC profile, version 2, of three channels or of grey with the same curve.

        Raises:
            ValueError: The primaries give no valid matrix.
        """
        values = [round(65535 * self.curve(nth / (SAMPLES - 1))) for nth in range(SAMPLES)]
        curve = b"curv" + struct.pack(f">4xI{SAMPLES}H2x", SAMPLES, *values)
        tags = {b"wtpt": _xyz_tag(D50_XYZ)}
        if is_grey:
            tags[b"kTRC"] = curve
        else:
            try:
                tags |= zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz_tag, _colorants(self.primaries)), strict=True)
            except (ArithmeticError, struct.error) as err:
                raise ValueError(f"got {self.primaries}: these primaries give no colours") from err
            tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
        return _profile(b"GRAY" if is_grey else b"RGB ", tags)


ADOBE_RGB = ColourSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65), gamma(563 / 256))
"""Adobe RGB (1998), which cameras name by EXIF alone."""


def from_code_points(primaries: int, transfer: int) -> ColourSpace | None:
    """Look up the colour space of two code points of H.273; ``None``: sRGB, as for reserved and unspecified ones."""
    if primaries not in (PRIMARIES.keys() - {1}) and transfer not in CURVES:
        return None
    return ColourSpace(PRIMARIES.get(primaries, BT709), CURVES.get(transfer, srgb))


def from_chromaticities(xy: Sequence[float] | None, file_gamma: float | None) -> ColourSpace | None:
    """Build the colour space of PNG's chunks cHRM and gAMA; ``None``: sRGB. Missing or invalid values are sRGB's.

    Args:
        xy: x and y of white, red, green and blue.
        file_gamma: The exponent from light to signal; 1/2.2 means sRGB's curve, as for other readers.
    """
    primaries: tuple[XY, XY, XY, XY] = BT709
    curve: Curve = srgb
    if xy is not None and all(0 < x < 1 and 0 < y < 1 for x, y in zip(xy[::2], xy[1::2], strict=True)):
        white, red, green, blue = zip(xy[::2], xy[1::2], strict=True)
        primaries = (red, green, blue, white)
    if file_gamma is not None and 0.1 <= file_gamma <= 10 and abs(2.2 * file_gamma - 1) > 0.05:
        curve = gamma(1 / file_gamma)
    return None if (primaries, curve) == (BT709, srgb) else ColourSpace(primaries, curve)


def _colorants(primaries: tuple[XY, XY, XY, XY]) -> list[list[float]]:
    """Compute XYZ of red, green and blue whose sum is white, adapted to D50."""
    *columns, white = [(x, y, 1 - x - y) for x, y in primaries]
    white_xyz = [value / white[1] for value in white]
    adaptation = [to / since for to, since in zip(_cones(D50_XYZ), _cones(white_xyz), strict=True)]
    return [
        _from_cones([scale * value * ratio for value, ratio in zip(_cones(column), adaptation, strict=True)])
        for scale, column in zip(_solved(columns, white_xyz), columns, strict=True)
    ]


def _solved(columns: Sequence[Sequence[float]], total: Sequence[float]) -> list[float]:
    """Solve for the weights with which three columns sum to ``total``, by Cramer's rule."""
    whole = _determinant(*columns)
    return [_determinant(*(total if one is column else one for one in columns)) / whole for column in columns]


def _determinant(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])


def _cones(xyz: Sequence[float]) -> list[float]:
    return [sum(weight * value for weight, value in zip(row, xyz, strict=True)) for row in BRADFORD]


def _from_cones(cones: Sequence[float]) -> list[float]:
    return _solved(list(zip(*BRADFORD, strict=True)), cones)


def _xyz_tag(xyz: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(65536 * value) for value in xyz))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Join header, table and data of an ICC profile; equal data are stored once."""
    data, places = b"", {}
    start = 128 + 4 + 12 * len(tags)
    for tag in tags.values():
        if tag not in places:
            places[tag] = start + len(data)
            data += tag
    table = b"".join(struct.pack(">4sII", name, places[tag], len(tag)) for name, tag in tags.items())
    d50 = struct.pack(">3i", *(round(65536 * value) for value in D50_XYZ))
    kinds = (b"mntr", space, b"XYZ ", b"acsp")
    header = struct.pack(">I4xI4s4s4s12x4s28x12s48x", start + len(data), 0x02400000, *kinds, d50)
    return header + struct.pack(">I", len(tags)) + table + data
