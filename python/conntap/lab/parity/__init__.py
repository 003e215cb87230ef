"""The parity harness: the same packets through the real kernel and through another subject, and what differs.

A *subject* tracks connections packet by packet (`subject.Subject`). The kernel is one, behind a forwarding gateway made
of namespaces (`gateway`, `inject`); the userspace engine is another. `run` drives a subject, `compare` finds the first
difference between two runs, `harness.compare_capture` does it all for one capture file.
"""
