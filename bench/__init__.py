"""What it costs: commands that print tables. ``python -m bench --help``."""
