"""The request socket, and the original's words for what the kernel refuses."""

from __future__ import annotations

from .messages import Stop, describe, failure
from .options import column
from .output import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conntap._core import Requests

    from .plan import Plan

__all__ = ["open_requests", "refused"]


def open_requests() -> Requests:
    """Open a socket for requests in this network namespace.

    Raises:
        Stop: the kernel has no netfilter netlink sockets.
    """
    from conntap._core import Requests

    try:
        return Requests()
    except OSError as error:
        warn(f"mnl_socket_open: {_reason(error)}\n")
        raise failure("Can't open handler") from error


def refused(plan: Plan, error: OSError) -> Stop:
    """Return the end of the program for a request of `plan` that the kernel refused."""
    return failure(f"Operation failed: {describe(column(plan.command, plan.table), error.errno or 0)}")


def _reason(error: OSError) -> str:
    from os import strerror

    return strerror(error.errno) if error.errno else str(error)
