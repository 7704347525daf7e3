"""The commands of ``python -m service``, one module for each, and what they share."""
