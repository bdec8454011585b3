"""Benchmarks with their references; run one as `python -m bench.log` from the root of the repository."""
