"""What the documentation shows of larger answers, by the name of their schema; tests hold them against it.

They are no part of the models, since FastAPI leaves out what is null in an example.
"""

from pydantic import JsonValue

STYLE_EXAMPLE: dict[str, JsonValue] = {
    "id": "hokusai-great-wave",
    "title": "Under the Wave off Kanagawa",
    "artist": "Katsushika Hokusai",
    "year": 1831,
    "rights": "Public domain",
    "model": "adain",
    "models": ["adain"],
    "kind": "shipped",
    "controls": ["style", "weights", "alpha"],
    "preview": "/styles/hokusai-great-wave/preview",
    "image": "/styles/hokusai-great-wave/image",
    "origin": "The Metropolitan Museum of Art, JP1847",
}

MODEL_EXAMPLE: dict[str, JsonValue] = {
    "id": "adain",
    "network": "adain",
    "norm": "adaptive",
    "styles": 24,
    "any_style": True,
    "is_default": True,
    "controls": ["style", "weights", "alpha"],
    "parameters": 5241091,
    "licence": "Apache-2.0",
    "attribution": "VGG-16 by Simonyan & Zisserman, CC BY 4.0",
    "training": {"recipe": "adain", "steps": 20000},
    "measured": {"content": 0.885, "style": 0.06},
    "state": "available",
}

JOB_EXAMPLE: dict[str, JsonValue] = {
    "id": "0f8fad5bd9cb469fa16570867728950e",
    "state": "running",
    "progress": 0.36,
    "position": None,
    "created": "2026-05-04T09:30:00Z",
    "links": {
        "self": "/jobs/0f8fad5bd9cb469fa16570867728950e",
        "events": "/jobs/0f8fad5bd9cb469fa16570867728950e/events",
        "result": None,
        "preview": "/jobs/0f8fad5bd9cb469fa16570867728950e/preview",
    },
    "problem": None,
}

EXAMPLES: dict[str, JsonValue] = {
    "StyleView": STYLE_EXAMPLE,
    "StylePage": {"styles": [STYLE_EXAMPLE], "next": None},
    "ModelList": {"models": [MODEL_EXAMPLE]},
    "JobView": JOB_EXAMPLE,
    "Liveness": {"status": "ok"},
    "Readiness": {"ready": True, "queue_depth": 3, "workers": 1},
}
