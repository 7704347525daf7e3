"""The parts of a worker: from claimed bytes to pixels, to networks, to an answer."""
