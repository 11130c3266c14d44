"""Benchmarks: what vartk's own code takes, row by row, against the plain way."""
