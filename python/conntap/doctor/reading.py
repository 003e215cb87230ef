"""What the doctor looks at, read from one namespace and the machine it is on; what could not be read is named."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.doctor.assigned import NftError, helper_objects
from conntap.doctor.diag import buffers
from conntap.doctor.model import Unseen
from conntap.errors import KernelError
from conntap.gateway.parse import listeners
from conntap.inside import within
from conntap.netns import NetNs, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.doctor.assigned import HelperObject
    from conntap.kernel import Conntrack

__all__ = ["Reading", "read"]

SYSCTL: Final = "/proc/sys/net"
#: Settings outside of net/netfilter that matter here.
OTHERS: Final[tuple[str, ...]] = (
    "core/rmem_default", "core/rmem_max", "core/optmem_max", "core/netdev_max_backlog",
    "ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/rp_filter",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look.

    Attributes:
        settings: name below /proc/sys/net → text ("netfilter/nf_conntrack_max" → "262144").
        cpus: the kernel's counters, one mapping a CPU; empty without the right.
        expect_cpus: those of expectations.
        expectations: helper → (how many wait, how many of them for anyone); None where it is not told.
        netlink: /proc/net/netlink of the namespace.
        buffers: inode of a netfilter socket → bytes of its receive buffer.
        slabs: object kind → (active, total, bytes of one), machine-wide; empty without root.
        memory: bytes of memory in the machine; 0 unknown.
        helpers: objects of nftables that rules can assign; None where they could not be had.
        nf_log: /proc/net/netfilter/nf_log.
        initial: it is the machine's first namespace, in which alone some settings can be changed.
        left: what a killed `--log-invalid` left changed, in words; "" nothing.
        unseen: what could not be read.
    """

    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    cpus: tuple[Mapping[str, int], ...] = ()
    expect_cpus: tuple[Mapping[str, int], ...] = ()
    expectations: Mapping[str, tuple[int, int]] | None = None
    netlink: str = ""
    buffers: Mapping[int, int] = field(default_factory=dict[int, int])
    slabs: Mapping[str, tuple[int, int, int]] = field(default_factory=dict[str, tuple[int, int, int]])
    memory: int = 0
    helpers: tuple[HelperObject, ...] | None = None
    nf_log: str = ""
    initial: bool = True
    left: str = ""
    unseen: tuple[Unseen, ...] = ()

    def number(self, name: str) -> int | None:
        """A setting of net/netfilter as a number; None where it is not there or is none."""
        with suppress(KeyError, ValueError):
            return int(self.settings[f"netfilter/{name}"])
        return None

    @property
    def reaches_kernel_log(self) -> bool:
        """Do lines that nf_log_syslog writes for this namespace reach the kernel's log?"""
        return self.initial or self.settings.get("netfilter/nf_log_all_netns", "0") != "0"


def read(netns: NetNs = None) -> Reading:
    """Look at a namespace.

    Raises:
        NotFoundError: no such namespace.
        PrivilegeError: it may not be entered.
    """
    path = path_of(netns)
    unseen: list[Unseen] = []
    settings, netlink, nf_log, sizes = within(path, lambda: _inside(unseen))
    helpers: tuple[HelperObject, ...] | None = None
    try:
        helpers = within(path, helper_objects)
    except NftError as error:
        unseen.append(Unseen("which helpers rules of nftables can assign", str(error)))
    if "netfilter/nf_conntrack_count" not in settings:
        why = "the kernel has no connection tracking here: modprobe nf_conntrack, or a rule that needs it"
        unseen.append(Unseen("the settings net.netfilter.nf_conntrack_*", why))
    cpus: tuple[Mapping[str, int], ...] = ()
    expect_cpus: tuple[Mapping[str, int], ...] = ()
    waiting: Mapping[str, tuple[int, int]] | None = None
    # Loaded here: without connection tracking, or to read a file alone, it is not needed.
    from conntap.kernel import Conntrack

    try:
        with Conntrack(netns) as ct:
            cpus, expect_cpus = tuple(ct.stats()), tuple(ct.expectation_stats())
            waiting = _expectations(ct)
    except KernelError as error:
        unseen.append(Unseen("the kernel's counters, and the expectations", str(error)))
    return Reading(
        settings=settings,
        cpus=cpus,
        expect_cpus=expect_cpus,
        expectations=waiting,
        netlink=netlink,
        buffers=sizes,
        slabs=_slabs(unseen),
        memory=_memory(),
        helpers=helpers,
        nf_log=nf_log,
        initial="core/netdev_max_backlog" in settings,
        left=_left(path),
        unseen=tuple(unseen),
    )


def _inside(unseen: list[Unseen]) -> tuple[dict[str, str], str, str, dict[int, int]]:
    """Settings, /proc/net/netlink, the table of loggers and buffers, as a thread inside the namespace sees them."""
    names: list[str] = list(OTHERS)
    with suppress(FileNotFoundError):
        for entry in os.scandir(f"{SYSCTL}/netfilter"):
            if entry.is_dir(follow_symlinks=False):
                names += [f"netfilter/{entry.name}/{name}" for name in os.listdir(entry.path)]
            else:
                names.append(f"netfilter/{entry.name}")
    settings: dict[str, str] = {}
    for name in sorted(names):
        try:
            settings[name] = _text(f"{SYSCTL}/{name}").strip()
        except FileNotFoundError:
            continue
        except OSError as error:
            unseen.append(Unseen(f"the setting net.{name.replace('/', '.')}", error.strerror or str(error)))
    tables: list[str] = []
    for name in ("netlink", "netfilter/nf_log"):
        try:
            tables.append(_text(f"/proc/thread-self/net/{name}"))
        except OSError as error:
            tables.append("")
            unseen.append(Unseen(f"/proc/net/{name}", error.strerror or str(error)))
    # Nobody listens: there is no buffer to ask for.
    sizes: dict[int, int] = {}
    if listeners(tables[0]):
        try:
            sizes = buffers()
        except OSError as error:
            unseen.append(Unseen("how large the listeners' buffers are", error.strerror or str(error)))
    return settings, tables[0], tables[1], sizes


def _left(path: str | None) -> str:
    """What a killed `conntap doctor --log-invalid` left behind in the namespace."""
    from conntap.doctor.switch import find_note

    note = find_note(path)
    return f"pid {note.pid} was killed; {note.told}" if note is not None and not note.alive else ""


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _expectations(ct: Conntrack) -> dict[str, tuple[int, int]]:
    """Helper → (how many wait, how many of them for anyone)."""
    found: dict[str, tuple[int, int]] = {}
    for row in ct.expectations():
        waiting, open_ = found.get(row.helper or "", (0, 0))
        found[row.helper or ""] = (waiting + 1, open_ + row.any_source)
    return found


def _slabs(unseen: list[Unseen]) -> dict[str, tuple[int, int, int]]:
    """The kernel's own kinds of objects that hold connections. Columns: name, active, all, bytes of one."""
    try:
        lines = _text("/proc/slabinfo").splitlines()
    except OSError as error:
        unseen.append(Unseen("memory by kind of object (/proc/slabinfo)", error.strerror or str(error)))
        return {}
    rows = [line.split() for line in lines if line.startswith("nf_conn")]
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}


def _memory() -> int:
    """Bytes of memory of the machine; 0 where it is not told."""
    try:
        for line in _text("/proc/meminfo").splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0
