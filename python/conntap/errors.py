"""Everything that conntap raises.

    ConntapError
    ├── UsageError (ValueError)          the caller's mistake; exit 2
    │   └── FilterError                  .at: the column of the word at fault
    ├── KernelError (OSError)            a request that failed; .errno, .offset
    │   ├── PrivilegeError (PermissionError)
    │   ├── NotFoundError (LookupError)  no such entry, namespace or interface
    │   └── UnsupportedError             a module, option or kernel version is missing
    ├── RecordingError (ValueError)      a file that is no recording and no capture, or a damaged one
    └── ClosedError                      used after close()

An error says what was tried, why it failed, and in `hint` what to do.
"""

from __future__ import annotations

import errno as numbers
import os

__all__ = [
    "ClosedError",
    "ConntapError",
    "FilterError",
    "KernelError",
    "NotFoundError",
    "PrivilegeError",
    "RecordingError",
    "UnsupportedError",
    "UsageError",
    "filter_error",
    "from_errno",
]


class ConntapError(Exception):
    """Base of all errors of conntap."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(ConntapError, ValueError):
    """A wrong option, address, field or file name."""

    exit_code = 2


class FilterError(UsageError):
    """A filter that does not parse: `.text[.at:.at + .length]` is the word at fault."""

    def __init__(self, message: str, *, text: str, at: int, length: int, hint: str = "") -> None:
        super().__init__(f"filter: {message}", hint=hint)
        self.text = text
        self.at = at
        self.length = length


def filter_error(message: str, text: str, at: int, length: int, advice: str | None) -> FilterError:
    """Make the error of a filter that does not parse; *advice* says what to write instead."""
    return FilterError(f"{message}, {advice}" if advice else message, text=text, at=at, length=length)


class KernelError(ConntapError, OSError):
    """The kernel refused a request.

    Attributes:
        op: what was tried, in words.
        errno: positive error number.
        offset: where in the request the kernel found the fault (extended ack), or None.
    """

    def __init__(self, op: str, errno: int, reason: str, *, offset: int | None = None, hint: str = "") -> None:
        ConntapError.__init__(self, f"{op}: {reason}", hint=hint)
        self.op = op
        self.errno = errno
        self.strerror = reason
        self.offset = offset


class PrivilegeError(KernelError, PermissionError):
    """A capability is missing in the user namespace that owns the network namespace."""


class NotFoundError(KernelError, LookupError):
    """No such entry, helper, namespace or interface."""


class UnsupportedError(KernelError):
    """This kernel lacks a module, an option or a feature."""


class RecordingError(ConntapError, ValueError):
    """A file that is neither a recording nor a capture of packets, or is damaged."""


class SegmentError(ConntapError, ValueError):
    """A file of a ledger that is damaged, or no segment."""


class ClosedError(ConntapError):
    """Used after close()."""


PRIVILEGE_HINT = "run it with sudo, or give this program alone the right: docs/privileges.md"
INTERFACE_HINT = "ip link shows the interfaces"
MODULE_HINT = "load the modules: modprobe nf_conntrack nf_conntrack_netlink"


def from_errno(op: str, errno: int, text: str | None = None, offset: int | None = None) -> KernelError:
    """Make the error that fits *errno*.

    Args:
        op: what was tried ("reading the flow table").
        errno: positive error number, 0 where there is none.
        text: the kernel's or the library's own words, if any.
        offset: of the attribute at fault in the request.
    """
    if errno in (numbers.EPERM, numbers.EACCES):
        right = "CAP_NET_RAW" if op.startswith("capturing ") else "CAP_NET_ADMIN"
        reason = f"needs {right} in this network namespace"
        return PrivilegeError(op, errno, reason, offset=offset, hint=PRIVILEGE_HINT)
    if errno in (numbers.EPROTONOSUPPORT, numbers.EAFNOSUPPORT, numbers.ESOCKTNOSUPPORT):
        reason = "this kernel has no netfilter netlink socket"
        return UnsupportedError(op, errno, reason, offset=offset, hint=MODULE_HINT)
    reason = os.strerror(errno) if errno else (text or "failed")
    if errno and text and not text.startswith(reason):
        reason = f"{reason} ({text})"
    if errno == numbers.ENOENT:
        return NotFoundError(op, errno, reason, offset=offset)
    if errno == numbers.ENODEV:
        return NotFoundError(op, errno, reason, offset=offset, hint=INTERFACE_HINT)
    if errno == numbers.EOPNOTSUPP:
        return UnsupportedError(op, errno, reason, offset=offset)
    return KernelError(op, errno, reason, offset=offset)
