"""conntap: Linux connection tracking, live, recorded, or of packets without a kernel.

    with conntap.open() as ct:
        for flow in ct.flows("tcp and dport 22"):
            print(flow.original.src, flow.tcp_state)

    for event in conntap.replay("capture.pcap"):
        print(event.kind, event.flow)

Names are resolved when first used, so that `conntap --help` loads nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone would double the start of the drop-in
if TYPE_CHECKING:
    from conntap import aio, errors, nat
    from conntap._core import Batch, Counters, Event, Expectation, Flow, Gap, Tuple, __version__
    from conntap.captures import Capture
    from conntap.filter import Filter
    from conntap.interface import Interface
    from conntap.kernel import Conntrack
    from conntap.kernel import open_conntrack as open
    from conntap.model import Status
    from conntap.recording import Recording, replay
    from conntap.store.query import Ledger, ledger
    from conntap.tracker import Setup, Tracker, Verdict

__all__ = [
    "Batch",
    "Capture",
    "Conntrack",
    "Counters",
    "Event",
    "Expectation",
    "Filter",
    "Flow",
    "Gap",
    "Interface",
    "Ledger",
    "Recording",
    "Setup",
    "Status",
    "Tracker",
    "Tuple",
    "Verdict",
    "__version__",
    "aio",
    "errors",
    "ledger",
    "nat",
    "open",
    "replay",
]

_HOMES = {
    "Batch": "conntap._core",
    "Capture": "conntap.captures",
    "Conntrack": "conntap.kernel",
    "Counters": "conntap._core",
    "Event": "conntap._core",
    "Expectation": "conntap._core",
    "Filter": "conntap.filter",
    "Flow": "conntap._core",
    "Gap": "conntap._core",
    "Interface": "conntap.interface",
    "Ledger": "conntap.store.query",
    "Recording": "conntap.recording",
    "Setup": "conntap.tracker",
    "Status": "conntap.model",
    "Tracker": "conntap.tracker",
    "Tuple": "conntap._core",
    "Verdict": "conntap.tracker",
    "__version__": "conntap._core",
    "ledger": "conntap.store.query",
    "open": "conntap.kernel:open_conntrack",
    "replay": "conntap.recording",
}
_MODULES = ("aio", "errors", "nat")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"conntap.{name}")
    home, _, attribute = _HOMES.get(name, "").partition(":")
    if not home:
        raise AttributeError(f"module 'conntap' has no attribute '{name}'")
    value = getattr(import_module(home), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
