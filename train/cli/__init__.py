"""The commands of ``python -m train``, by what they make: trainings, checkpoints, evidence."""
