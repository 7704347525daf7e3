"""The endpoints, by path: they translate between HTTP and calls, and have no logic of their own."""
