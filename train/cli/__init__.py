"""The commands of ``python -m train``: trainings, and commands on checkpoints."""
