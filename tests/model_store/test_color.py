"""Whose colours a painting has: exact where the maths is, finite where a picture has no colours."""

import pytest
import torch

from model_store.color import ColorStatistics, color_statistics, keep_chroma, luminance, match_colors


def picture(seed: int, height: int = 40, width: int = 56) -> torch.Tensor:
    """Random colours, whose channels are correlated as in a photo."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.rand(3, 3, generator=generator) + 0.3 * torch.eye(3)
    pixels = torch.einsum("ij,bjhw->bihw", mixing, torch.rand(1, 3, height, width, generator=generator))
    return pixels / pixels.max()


def recoloured_to(style: torch.Tensor, content: ColorStatistics) -> torch.Tensor:
    return match_colors(color_statistics([style]), content)(style)


def test_the_recoloured_style_has_the_contents_mean_and_covariance() -> None:
    content = color_statistics([picture(1)])
    recoloured = color_statistics([recoloured_to(picture(2), content)])
    torch.testing.assert_close(recoloured.mean, content.mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(recoloured.covariance, content.covariance, atol=1e-6, rtol=1e-4)


def test_statistics_are_those_of_the_pixels() -> None:
    pixels = picture(1)[0].flatten(1).double()
    found = color_statistics([picture(1)])
    torch.testing.assert_close(found.mean, pixels.mean(dim=1))
    torch.testing.assert_close(found.covariance, torch.cov(pixels, correction=0))


def test_parts_of_a_picture_have_the_statistics_of_the_whole() -> None:
    whole, parts = color_statistics([picture(1)]), color_statistics(picture(1).split(7, dim=2))
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.covariance, whole.covariance)


def test_a_picture_recoloured_to_itself_stays() -> None:
    style = picture(3)
    torch.testing.assert_close(recoloured_to(style, color_statistics([style])), style, atol=1e-5, rtol=0)


def constant(*colour: float) -> torch.Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 16, 16)


def grey(seed: int) -> torch.Tensor:
    return luminance(picture(seed)).expand(1, 3, -1, -1)


def rounded(image: torch.Tensor) -> torch.Tensor:
    return (image * 255).round() / 255


def test_a_constant_style_becomes_the_contents_mean() -> None:
    content = color_statistics([picture(1)])
    recoloured = recoloured_to(constant(0.2, 0.7, 0.1), content)
    torch.testing.assert_close(recoloured, constant(*content.mean.tolist()), atol=1e-6, rtol=0)


def test_a_constant_content_leaves_one_colour() -> None:
    recoloured = recoloured_to(picture(2), color_statistics([constant(0.2, 0.7, 0.1)]))
    torch.testing.assert_close(
        recoloured, torch.tensor([0.2, 0.7, 0.1]).view(1, 3, 1, 1).expand_as(recoloured), atol=1e-3, rtol=0
    )


def test_a_grey_content_makes_the_style_grey() -> None:
    content = color_statistics([grey(1)])
    recoloured = recoloured_to(picture(2), content)
    assert (recoloured - luminance(recoloured)).abs().max() < 1e-4
    assert color_statistics([recoloured]).std[0] == pytest.approx(content.std[0].item(), rel=1e-3)


@pytest.mark.parametrize(
    "style", [grey(2), rounded(grey(2)), rounded(grey(2) + 0.2 * constant(1, 0, -1)[:, :, :1, :1])]
)
def test_a_style_without_colours_is_not_blown_up_to_noise(style: torch.Tensor) -> None:
    """One direction of colour alone: light and dark keep their order, and neighbours in value stay neighbours."""
    recoloured = recoloured_to(style, color_statistics([picture(1)]))
    lightness, result = style[0, 1].flatten(), luminance(recoloured).flatten()
    assert recoloured.isfinite().all()
    assert torch.corrcoef(torch.stack([lightness, result]))[0, 1] > 0.999


def test_a_painting_keeps_its_luminance_and_gets_the_contents_chroma() -> None:
    content, painted = 0.4 + 0.2 * picture(1), 0.3 + 0.4 * picture(2)
    result = keep_chroma(content, painted)
    torch.testing.assert_close(luminance(result), luminance(painted), atol=1e-6, rtol=0)
    torch.testing.assert_close(result - luminance(result), content - luminance(content), atol=1e-6, rtol=0)


def test_where_no_such_colour_exists_luminance_and_hue_are_kept() -> None:
    content, painted = picture(1), 3 * picture(2) - 1
    result = keep_chroma(content, painted)
    assert result.min() >= 0 and result.max() <= 1
    torch.testing.assert_close(luminance(result), luminance(painted).clamp(0, 1), atol=1e-6, rtol=0)
    chroma, wanted = (image - luminance(image) for image in (result, content))
    share = (chroma * wanted).sum(dim=1, keepdim=True) / wanted.square().sum(dim=1, keepdim=True)
    assert share.min() >= 0 and share.max() <= 1 + 1e-3
    torch.testing.assert_close(chroma, share * wanted, atol=1e-6, rtol=0)


def test_a_grey_content_makes_a_grey_painting() -> None:
    result = keep_chroma(grey(1), picture(2))
    torch.testing.assert_close(result, luminance(picture(2)).expand_as(result), atol=1e-6, rtol=0)


def test_each_image_of_a_batch_gets_its_own_chroma() -> None:
    contents, paintings = torch.cat([picture(1), picture(2)]), torch.cat([picture(3), picture(4)])
    singles = [keep_chroma(contents[i : i + 1], paintings[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(keep_chroma(contents, paintings), torch.cat(singles))
