"""From a request to a job: what may be asked for, and who waits for it."""
