"""Sinks: where records go. One protocol a file; `base.py` says what all of them have in common."""
