"""All of torch: networks, styles and painting. Never reaches Redis."""
