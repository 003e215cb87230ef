"""`make bench`: every speed and size that the project promises, measured side by side in one run.

Times are never asserted. `docs/benchmarks.md` is what a run leaves behind; `docs/performance.md` says how to read it.
"""
