"""One capture file through the kernel and through another subject."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conntap.lab.parity import capture
from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.inject import KernelSubject
from conntap.lab.parity.report import Report
from conntap.lab.parity.run import AS_CAPTURED, Pacing, Run, drive, repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conntap.lab.parity.subject import Packet, Subject

__all__ = ["Options", "compare_capture", "compare_packets", "run_kernel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a capture is run; the other subject must have been made with the same.

    Attributes:
        left: addresses of the hosts on the left, as text; empty to take who spoke first.
        helpers: helper name → (protocol, destination port) pairs.
        sysctls: settings of the gateway, by path below /proc/sys/net.
        nft: more rules, as text; the devices are r0 (left) and r1 (right).
        pacing: how gaps between packets are kept.
        linger_s: seconds to wait after the last packet, for what time causes.
        states: compare each packet's state as well.
        tables: compare the tables after each packet as well: slow.
    """

    left: tuple[str, ...] = ()
    helpers: Mapping[str, Iterable[tuple[str, int]]] = field(default_factory=dict[str, "Iterable[tuple[str, int]]"])
    sysctls: Mapping[str, int | str] = field(default_factory=dict[str, "int | str"])
    nft: str = ""
    pacing: Pacing = AS_CAPTURED
    linger_s: float = 0.0
    states: bool = True
    tables: bool = False


def compare_capture(path: str | Path, subject: Subject, options: Options) -> Report:
    """Run a capture through a new gateway's kernel, then through *subject* at the same times; report what differs.

    Raises:
        LabError: the file cannot be read, the gateway cannot be built, or the kernel lost events.
    """
    left = frozenset(ipaddress.ip_address(address).packed for address in options.left)
    found = capture.read(path, left=left)
    return compare_packets(found.packets, subject, options, skipped=found.skipped)


def compare_packets(
    packets: Iterable[Packet], subject: Subject, options: Options, *, skipped: Mapping[str, int] | None = None
) -> Report:
    """Do the same for packets that come from elsewhere."""
    kernel = run_kernel(packets, options)
    other = repeat(subject, kernel)
    return Report(
        len(kernel.steps), kernel.messages, first_difference(kernel, other), (kernel, other), dict(skipped or {})
    )


def run_kernel(packets: Iterable[Packet], options: Options) -> Run:
    """Run packets through a new gateway's kernel."""
    gateway = Gateway(helpers=options.helpers, sysctls=options.sysctls, nft=options.nft, note_states=options.states)
    with gateway, KernelSubject(gateway, tables=options.tables) as subject:
        return drive(subject, packets, pacing=options.pacing, linger_s=options.linger_s)
