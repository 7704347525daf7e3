"""The networks and their checkpoints, shared by the service and the training.

Importing this package loads nothing. ``model_store.catalog`` needs the standard library only, so that a process without
torch can list models and styles; the other modules need torch.
"""
