"""Training of the checkpoints that the service loads, with the same layers. ``python -m train --help``."""
