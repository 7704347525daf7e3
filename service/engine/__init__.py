"""All of torch: networks, encoded styles, stylizing. Never reaches Redis."""
