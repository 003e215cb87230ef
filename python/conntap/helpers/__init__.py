"""Protocol helpers of the engine: sans-I/O readers of payload that announce connections. See `base`."""
