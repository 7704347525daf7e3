"""The papers' evidence, reproduced with our own code: ``python -m experiments --help``.

One module per experiment. Each returns ``results.Findings``, which ``results.publish`` prints and writes.
"""
