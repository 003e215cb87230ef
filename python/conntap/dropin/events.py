"""-E: events as they happen, until a signal asks for the end."""

from __future__ import annotations

from .messages import banner, failure
from .output import warn
from .selection import selection
from .signals import on_end
from .style import formatter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conntap._core import Batch, Listener

    from .output import Output
    from .plan import Plan

__all__ = ["follow"]

_FLOW_GROUPS = ((1, 1), (2, 2), (4, 3))  # bit of words.EVENTS, multicast group
_EXPECT_GROUPS = [4, 5, 6]
_BUFFER_BYTES = 64 << 20  # asked for without -b; only what waits takes memory
_WAIT_MS = 100  # how late a signal may be noticed

_OVERRUN = """\
WARNING: We have hit ENOBUFS! We are losing events.
This message means that the current netlink socket buffer size is too small.
Please, check --buffer-size in conntrack(8) manpage.
"""


def follow(plan: Plan, output: Output, quiet: bool) -> int:
    """-E: show events until SIGINT or SIGTERM; then the summary and status 0."""
    del quiet
    stop = _Stop()
    listener = _listen(plan)
    if plan.buffer_size is not None:
        warn(f"NOTICE: Netlink socket buffer size has been set to {listener.buffer_bytes} bytes.\n")
    form = formatter(plan)
    shown = 0
    while not stop.asked:
        batch = listener.receive(_WAIT_MS)
        if batch is not None:
            gaps = _gaps(batch)
            shown += len(batch) - gaps
            output.write(form.format(batch))
            output.flush()
            for _ in range(gaps):
                warn(_OVERRUN)
    output.write(form.finish())
    output.flush()
    what = "expectation" if plan.table == "expect" else "flow"
    warn(f"{banner()}{shown} {what} events have been shown.\n")
    return 0


class _Stop:
    """Notes that a signal asked for the end."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False
        on_end(self._ask)

    def _ask(self) -> None:
        self.asked = True


def _listen(plan: Plan) -> Listener:
    from conntap._core import Listener

    groups = (
        _EXPECT_GROUPS
        if plan.table == "expect"
        else [group for bit, group in _FLOW_GROUPS if "event-mask" not in plan.given or plan.events & bit]
    )
    try:
        return Listener(
            groups, selection(plan), buffer_bytes=_BUFFER_BYTES if plan.buffer_size is None else plan.buffer_size
        )
    except OSError as error:
        from os import strerror

        warn(f"mnl_socket_bind: {strerror(error.errno or 0)}\n")
        raise failure("Can't open netlink socket") from error


def _gaps(batch: Batch) -> int:
    return dict(batch.kinds()).get("GAP", 0)
