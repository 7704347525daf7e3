"""A contact sheet: the photo, then its painting in every named style, as the previews show them."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from model_store.catalog import StyleEntry
from train.data import DataError
from train.images import read_image

MARGIN_PX = 8
CAPTION_PX = 18
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""Pillow's own font has no é and no ü."""


def contact_sheet(photo: Path, styles: Sequence[StyleEntry], columns: int) -> Image.Image:
    """Cells of the previews' size in rows of ``columns``, each with title and artist below.

    Raises:
        DataError: The photo or a preview is missing or cannot be read.
    """
    previews = []
    for style in styles:
        if style.preview is None:
            raise DataError(f"the style {style.id!r} has no preview: export the checkpoint with --preview-photo")
        previews.append((read_image(style.preview), f"{style.title} · {style.artist}"))
    if not previews:
        raise DataError("there are no named styles to show: export the checkpoint with --styles")
    width, height = previews[0][0].size
    cells = [(read_image(photo).resize((width, height), Image.Resampling.LANCZOS), "the photo"), *previews]
    rows = -(-len(cells) // columns)
    step_x, step_y = width + MARGIN_PX, height + CAPTION_PX + MARGIN_PX
    sheet = Image.new("RGB", (columns * step_x + MARGIN_PX, rows * step_y + MARGIN_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, 11)
    for index, (picture, caption) in enumerate(cells):
        left, top = MARGIN_PX + index % columns * step_x, MARGIN_PX + index // columns * step_y
        sheet.paste(picture, (left, top))
        while draw.textlength(caption, font) > width:
            caption = caption.rstrip("…")[:-1].rstrip(" ·") + "…"
        draw.text((left, top + height + 2), caption, "black", font)
    return sheet
