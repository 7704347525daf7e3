"""The parts of image files that Pillow does not show, or not as they are needed here. Standard library only."""
