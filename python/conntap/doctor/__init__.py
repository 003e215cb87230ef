"""The kernel's knobs and counters of connection tracking: what each is, whether it is fine here, what to do."""
