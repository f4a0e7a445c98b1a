"""Measurements of vicino, each runnable as `python -m benchmarks.<name>`; `benchmarks.all` runs every one of them."""
