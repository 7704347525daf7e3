"""The commands of ``stylize``."""
