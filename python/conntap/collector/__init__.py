"""The collector: reads what exporters send (IPFIX, NetFlow v9) into batches of records. docs/collect.md.

with Collector("ipfix://0.0.0.0:4739") as collector:
    while (batch := collector.receive()) is not None:
        ...
"""

from __future__ import annotations

from conntap.collector.source import Collector, open_collector

__all__ = ["Collector", "open_collector"]
