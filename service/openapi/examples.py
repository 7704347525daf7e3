"""What the documentation shows of larger answers; tests hold them against their schemas."""

from pydantic import JsonValue

STYLE_EXAMPLE: dict[str, JsonValue] = {
    "id": "hokusai-great-wave",
    "title": "Under the Wave off Kanagawa",
    "artist": "Katsushika Hokusai",
    "year": 1831,
    "rights": "Public domain",
    "model": "adain",
    "kind": "shipped",
    "controls": ["style", "weights", "alpha"],
    "preview": "/styles/hokusai-great-wave/preview",
}

MODEL_EXAMPLE: dict[str, JsonValue] = {
    "id": "adain",
    "network": "adain",
    "norm": "adaptive",
    "styles": 24,
    "controls": ["style", "weights", "alpha"],
    "parameters": 5241091,
    "licence": "Apache-2.0",
    "attribution": "VGG-16 by Simonyan & Zisserman, CC BY 4.0",
    "training": {"recipe": "adain", "steps": 20000},
    "measured": {"content": 0.885, "style": 0.06},
    "state": "available",
}
