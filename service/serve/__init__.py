"""The processes of a service: supervisor, embedded queue, API and worker."""
