"""The story of a connection, packet by packet: what connection tracking made of it, and why.

    from conntap.explain import explain

    for story in explain("ftp.pcap", "dport 21", Setup(helpers=assign("ftp"))):
        for step in story.steps:
            print(step.number, step.short, step.verdict, step.why)

docs/explain.md tells how to read it.
"""

from __future__ import annotations

from conntap.explain.story import Connection, Ends, Packet, Segment, Step, Story, Told, Window
from conntap.explain.tell import explain

__all__ = ["Connection", "Ends", "Packet", "Segment", "Step", "Story", "Told", "Window", "explain"]
