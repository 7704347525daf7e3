"""A worker: claim → decode → batch → forward → encode → complete."""
