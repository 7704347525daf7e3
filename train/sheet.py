"""Images in rows with captions; and the contact sheet, a content image and its output in every named style."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from model_store.catalog import StyleEntry
from train.data import DataError
from train.images import read_image

MARGIN_PX = 8
TEXT_PX = 11
LEADING_PX = 7
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""A font with é and ü, which Pillow's own lacks."""


def contact_sheet(photo: Path, styles: Sequence[StyleEntry], columns: int) -> Image.Image:
    """Draw the previews in rows of ``columns``, each with the style's id below, which a request names.

    Raises:
        DataError: The photo or a preview is missing or cannot be read.
    """
    previews = []
    for style in styles:
        if style.preview is None:
            raise DataError(f"the style {style.id!r} has no preview: export the checkpoint with --preview-photo")
        previews.append((read_image(style.preview), style.id))
    if not previews:
        raise DataError("there are no named styles to show: export the checkpoint with --styles")
    cells = [(read_image(photo).resize(previews[0][0].size, Image.Resampling.LANCZOS), "the photo"), *previews]
    return captioned_grid(cells, columns)


def image_grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Arrange images of one size in rows, with a margin around each."""
    width, height = rows[0][0].size
    step_x, step_y = width + MARGIN_PX, height + MARGIN_PX
    grid = Image.new("RGB", (len(rows[0]) * step_x + MARGIN_PX, len(rows) * step_y + MARGIN_PX), "white")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            grid.paste(image, (MARGIN_PX + column * step_x, MARGIN_PX + row * step_y))
    return grid


def captioned_grid(cells: Sequence[tuple[Image.Image, str]], columns: int, text_px: int = TEXT_PX) -> Image.Image:
    """Arrange images of one size in rows of ``columns``, each with its caption below, cut where it is too long."""
    width, height = cells[0][0].size
    rows = -(-len(cells) // columns)
    step_x, step_y = width + MARGIN_PX, height + text_px + LEADING_PX + MARGIN_PX
    sheet = Image.new("RGB", (columns * step_x + MARGIN_PX, rows * step_y + MARGIN_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, text_px)
    for index, (image, caption) in enumerate(cells):
        left, top = MARGIN_PX + index % columns * step_x, MARGIN_PX + index // columns * step_y
        sheet.paste(image, (left, top))
        while draw.textlength(caption, font) > width:
            caption = caption.rstrip("…")[:-1].rstrip(" ·") + "…"
        draw.text((left, top + height + 2), caption, "black", font)
    return sheet
