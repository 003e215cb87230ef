"""Programs that read the table as a user's would: `python -m benches.readers arrow|rows|discard|pyroute2`.

Each prints what it saw as JSON, with the seconds that the reading alone took.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def arrow() -> dict[str, Any]:
    """All entries as Arrow columns."""
    import conntap

    with conntap.open() as ct:
        table = ct.flows().arrow()
    return {"rows": table.num_rows, "bytes": table.nbytes}


def rows() -> dict[str, Any]:
    """An object for every entry, three of its fields read."""
    import conntap

    count = 0
    with conntap.open() as ct:
        for flow in ct.flows():
            _ = (flow.original.src, flow.original.dport, flow.timeout)
            count += 1
    return {"rows": count}


def discard() -> dict[str, Any]:
    """The reading half alone: the binding receives and throws away."""
    from conntap import _core

    return {"bytes": _core.Requests().dump("flows").discard()}


def pyroute2() -> dict[str, Any]:
    """The same fields by pyroute2."""
    from pyroute2 import NFCTSocket

    count = 0
    with NFCTSocket() as socket:
        for entry in socket.dump():
            original = entry.get_attr("CTA_TUPLE_ORIG")
            original.get_attr("CTA_TUPLE_IP").get_attr("CTA_IP_V4_SRC")
            original.get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_DST_PORT")
            entry.get_attr("CTA_TIMEOUT")
            count += 1
    return {"rows": count}


READERS = {"arrow": arrow, "rows": rows, "discard": discard, "pyroute2": pyroute2}

if __name__ == "__main__":
    began = time.perf_counter()
    seen = READERS[sys.argv[1]]()
    print(json.dumps({**seen, "seconds": time.perf_counter() - began}))
