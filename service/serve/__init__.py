"""The processes of a running service, and what starts and ends them."""
