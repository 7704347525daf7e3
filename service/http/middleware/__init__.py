"""The edge of the API: what every request passes before an endpoint sees it, ``stack`` says in which order."""
