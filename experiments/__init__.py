"""Experiments that reproduce the papers' evidence with our own code: ``python -m experiments --help``.

One module per experiment. Each returns ``results.Findings``, which ``results.publish`` prints and writes.
"""
