"""Folders that tests read from."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "tests" / "helpers"
SHARED = ROOT.parent / "shared"
"""Training images and VGG weights; tests that need them skip where it is missing."""
