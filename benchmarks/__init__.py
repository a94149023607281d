"""Benchmarks: the real bridge beside a bare program that keeps nothing, in the same run."""
