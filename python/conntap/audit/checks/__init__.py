"""The checks, a file for each group; `audit/registry.py` lists them."""
