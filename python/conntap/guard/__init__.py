"""A policy for expectations, and what holds a live gateway to it."""
