"""Benchmarks: each prints one table and can write it as JSON. See `table.py` for the rows."""
