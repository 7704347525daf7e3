"""Training: makes the checkpoints that the service loads, on the very same layers. ``python -m train --help``."""
