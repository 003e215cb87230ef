"""The kernel's own settings on which a log depends: what each gives, what it costs, what is lost without it.

Each belongs to a network namespace and holds for connections that begin afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import KernelError
from conntap.netns import NetNs, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KNOBS", "Finding", "Knob", "check", "fix"]

FOLDER: Final = "/proc/sys/net/netfilter"


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting.

    Attributes:
        name: without `net.netfilter.`.
        wanted: the value that a log needs.
        gives: what it is for.
        lost: what a log lacks without it.
        costs: what it costs.
    """

    name: str
    wanted: int
    gives: str
    lost: str
    costs: str

    @property
    def sysctl(self) -> str:
        """The line of a sysctl file that sets it."""
        return f"net.netfilter.{self.name} = {self.wanted}"


# Sizes: struct nf_conn_acct (include/net/netfilter/nf_conntrack_acct.h), struct nf_conn_tstamp
# (nf_conntrack_timestamp.h). Which values make an event extension: nf_ct_ecache_ext_add (nf_conntrack_ecache.c).
KNOBS: Final = (
    Knob(
        "nf_conntrack_events",
        1,
        "connections report their end even when they began while nobody listened",
        "with 2, the default, connections that began while nobody listened end unseen: their end is only found by a "
        "dump, between two times; with 0 no connection is ever reported",
        "a small extension on each connection, also while nobody listens",
    ),
    Knob(
        "nf_conntrack_acct",
        1,
        "packets and bytes of both directions",
        "records have no packets and no bytes",
        "32 bytes of memory a connection, and two additions a packet",
    ),
    Knob(
        "nf_conntrack_timestamp",
        1,
        "when a connection began and ended, by the kernel's clock, to the nanosecond",
        "begin and end are the times at which conntap heard of them; of connections older than the logger the "
        "begin is not known",
        "16 bytes of memory a connection, and the clock read twice in its life",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """How one setting stands in a namespace.

    Attributes:
        knob: which.
        found: its value; None where this kernel or namespace has it not.
        problem: why it could not be set, after `fix`.
    """

    knob: Knob
    found: int | None
    problem: str = ""

    @property
    def ok(self) -> bool:
        """It is as a log needs it."""
        return self.found == self.knob.wanted

    def __str__(self) -> str:
        """One line for people: what stands, what that means, what to do."""
        knob = self.knob
        if self.ok:
            return f"{knob.name} is {knob.wanted}: {knob.gives}"
        stands = f"is {self.found}" if self.found is not None else "is not there (is nf_conntrack loaded?)"
        failed = f"; it could not be set: {self.problem}" if self.problem else ""
        return f"{knob.name} {stands}: {knob.lost}{failed}. Set it: sysctl -w {knob.sysctl.replace(' ', '')}"


def check(netns: NetNs = None) -> tuple[Finding, ...]:
    """How the settings stand in a namespace.

    Raises:
        NotFoundError: no such namespace.
        PrivilegeError: it may not be entered.
    """
    path = path_of(netns)
    return tuple(Finding(knob, read(knob, path)) for knob in KNOBS)


def fix(netns: NetNs = None, findings: Iterable[Finding] | None = None) -> tuple[Finding, ...]:
    """Set what does not fit, and tell how the settings stand afterwards; what could not be set says why.

    Args:
        netns: the namespace.
        findings: of an earlier `check`; None: check now.

    Raises:
        NotFoundError: no such namespace.
        PrivilegeError: it may not be entered.
    """
    path = path_of(netns)
    after: list[Finding] = []
    for finding in findings if findings is not None else check(netns):
        knob, problem = finding.knob, ""
        if finding.ok:
            after.append(finding)
            continue
        try:
            _core.write_in_namespace(f"{FOLDER}/{knob.name}", f"{knob.wanted}\n", path)
        except KernelError as error:
            problem = error.strerror or str(error)
        # Read again: the kernel has the last word.
        after.append(Finding(knob, read(knob, path), problem))
    return tuple(after)


def read(knob: Knob, path: str | None) -> int | None:
    """A setting's value; None where it is not there."""
    try:
        return int(_core.read_in_namespace(f"{FOLDER}/{knob.name}", path))
    except FileNotFoundError:
        return None
    except KernelError as error:
        if error.errno == 2:
            return None
        raise
