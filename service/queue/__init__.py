"""What is in Redis: the stores, their keys and their scripts. The queue itself is ``service.queue.queue``."""
