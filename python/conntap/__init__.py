"""conntap: Linux connection tracking, live.

    with conntap.open() as ct:
        for flow in ct.flows("tcp and dport 22"):
            print(flow.original.src, flow.tcp_state)

Names are resolved when first used, so that `conntap --help` loads nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import alone would double the start of the drop-in
if TYPE_CHECKING:
    from conntap import aio, errors
    from conntap._core import Batch, Counters, Event, Expectation, Flow, Gap, Tuple, __version__
    from conntap.filter import Filter
    from conntap.kernel import Conntrack
    from conntap.kernel import open_conntrack as open
    from conntap.model import Status
    from conntap.recording import Recording, replay

__all__ = [
    "Batch",
    "Conntrack",
    "Counters",
    "Event",
    "Expectation",
    "Filter",
    "Flow",
    "Gap",
    "Recording",
    "Status",
    "Tuple",
    "__version__",
    "aio",
    "errors",
    "open",
    "replay",
]

_HOMES = {
    "Batch": "conntap._core",
    "Conntrack": "conntap.kernel",
    "Counters": "conntap._core",
    "Event": "conntap._core",
    "Expectation": "conntap._core",
    "Filter": "conntap.filter",
    "Flow": "conntap._core",
    "Gap": "conntap._core",
    "Recording": "conntap.recording",
    "Status": "conntap.model",
    "Tuple": "conntap._core",
    "__version__": "conntap._core",
    "open": "conntap.kernel:open_conntrack",
    "replay": "conntap.recording",
}
_MODULES = ("aio", "errors")


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
