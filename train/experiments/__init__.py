"""The papers' evidence, reproduced with our own code: ``python -m train experiment --help``.

One module per experiment. Each returns ``results.Findings``, which ``results.publish`` prints and writes.
"""
