"""The ground of HTTP: contracts of routes, bodies, callers, headers, refusals. Knows no feature of the house."""
