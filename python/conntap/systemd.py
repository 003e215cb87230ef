"""Talks to the service manager: ready, reloading, stopping, alive; leaves descriptors with it and takes them back.

Without NOTIFY_SOCKET in the environment each call does nothing, so a command need not ask who started it.

Source: sd_notify(3), sd_pid_notify_with_fds(3), sd_listen_fds(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import array
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Notifier", "taken_back"]

FIRST_DESCRIPTOR: Final = 3
#: A name of stored descriptors: printable, no colon, which separates them (sd_notify(3), FDNAME=).
LONGEST_NAME: Final = 255


class Notifier:
    """What the service manager is told. Nothing here raises when nobody listens.

    Attributes:
        watched: how often, in seconds, the manager wants to hear that we are alive; None: it does not.
        failed: messages that the manager did not take.
    """

    __slots__ = ("_address", "_next", "failed", "watched")

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        """Make one; *address* is a path, or with `@` in front an abstract name."""
        if address and address[0] not in "/@":
            raise UsageError(f"NOTIFY_SOCKET is '{address}': neither a path nor an abstract socket")
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self.watched = watchdog_seconds if address else None
        self._next = 0.0
        self.failed = 0

    @classmethod
    def of_process(cls, environment: Mapping[str, str] = os.environ) -> Notifier:
        """As the environment says; one that does nothing where no manager started this process."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(microseconds) / 1e6 if meant and microseconds.isdecimal() and int(microseconds) else None
        return cls(environment.get("NOTIFY_SOCKET") or None, watchdog)

    def __bool__(self) -> bool:
        """Somebody listens."""
        return self._address is not None

    def ready(self, status: str = "") -> None:
        """The service does its work, or does it again after `reloading`."""
        self.send("READY=1", *status_line(status))

    def reloading(self, status: str = "") -> None:
        """Settings are being read anew; the manager waits for `ready`."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={now}", *status_line(status))

    def stopping(self, status: str = "") -> None:
        """The service is on its way out."""
        self.send("STOPPING=1", *status_line(status))

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self.send(*status_line(text))

    def extend(self, seconds: float) -> None:
        """Starting, reloading or stopping takes so much longer from now on."""
        self.send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def alive(self, now: float | None = None) -> None:
        """Say that we are alive when that is due, at half of the time that is allowed; cheap enough for any loop.

        Args:
            now: seconds by the monotonic clock.
        """
        if self.watched is None:
            return
        now = time.monotonic() if now is None else now
        if now >= self._next:
            self._next = now + self.watched / 2
            self.send("WATCHDOG=1")

    def store(self, name: str, *descriptors: int) -> None:
        """Leave copies of descriptors with the manager; a process that is started again finds them (`taken_back`).

        The manager keeps them only where the unit has FileDescriptorStoreMax=.
        """
        if not name or len(name) > LONGEST_NAME or not name.isascii() or not name.isprintable() or ":" in name:
            raise UsageError(f"'{name}' is no name for stored descriptors: printable ASCII without a colon")
        self.send("FDSTORE=1", f"FDNAME={name}", descriptors=descriptors)

    def remove(self, name: str) -> None:
        """Let the manager forget the descriptors of that name."""
        self.send("FDSTOREREMOVE=1", f"FDNAME={name}")

    def send(self, *lines: str, descriptors: Sequence[int] = ()) -> None:
        """Send one message. A manager that is away is counted in `failed`, and is no reason to stop."""
        if self._address is None:
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendmsg(["\n".join(lines).encode()], rights, 0, self._address)
        except OSError:
            self.failed += 1


def status_line(text: str) -> list[str]:
    """`STATUS=…` of one line, or nothing."""
    return [f"STATUS={' '.join(text.split())}"] if text else []


def taken_back(environment: Mapping[str, str] = os.environ, first: int = FIRST_DESCRIPTOR) -> dict[str, list[int]]:
    """Descriptors that the manager passed to this process, by name: of its sockets, and those that were stored.

    They are closed on exec, so that no child has them. Names are "unknown" where the manager gave none.

    Args:
        environment: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES; where they are another process's there is nothing.
        first: number of the first descriptor.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return {}
    count = environment.get("LISTEN_FDS", "")
    if not count.isdecimal():
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[int]] = {}
    for index in range(int(count)):
        descriptor = first + index
        os.set_inheritable(descriptor, False)
        name = names[index] if index < len(names) and names[index] else "unknown"
        found.setdefault(name, []).append(descriptor)
    return found
