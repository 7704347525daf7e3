"""A ``Style`` of one row as bytes, and back: what is kept of a registered style. Safetensors, so nothing in it runs."""

from safetensors.torch import load, save

from model_store.style import Style


def style_to_bytes(style: Style) -> bytes:
    """Its scales and shifts, in fp32; strength and seeds are a request's, not a style's."""
    tensors = {}
    for layer, (scale, shift) in enumerate(zip(style.scales, style.shifts, strict=True)):
        tensors[f"scale.{layer}"] = scale.detach().float().cpu().contiguous()
        tensors[f"shift.{layer}"] = shift.detach().float().cpu().contiguous()
    return save(tensors)


def style_from_bytes(data: bytes) -> Style:
    """On the CPU.

    Raises:
        ValueError: These are not the bytes of a style.
    """
    try:
        tensors = load(data)
        layers = range(len(tensors) // 2)
        return Style(
            tuple(tensors[f"scale.{layer}"] for layer in layers), tuple(tensors[f"shift.{layer}"] for layer in layers)
        )
    except Exception as err:  # safetensors has an error of its own, and others for odd headers
        raise ValueError(f"{len(data)} bytes that are no style: {err}") from err
