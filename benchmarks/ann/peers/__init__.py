"""One small adapter per system. Each imports its system at its top and is imported in the peers' environment only."""
