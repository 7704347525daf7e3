"""All of Redis: the queue, the stores, their keys and their scripts."""
