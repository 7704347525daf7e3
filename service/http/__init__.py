"""Everything HTTP: routes, responses, middleware, OpenAPI, metrics. Never reaches torch."""
