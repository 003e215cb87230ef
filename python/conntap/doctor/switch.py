"""The kernel's log of INVALID packets: turned on for a while in one namespace, and put back as it was.

What stood there before is written to a note on disk first. Whoever is killed in between leaves the note; `restore`
reads it. Settings: nf_conntrack_log_invalid (which packets), nf_log/2 and nf_log/10 (the logger of IPv4 and IPv6).
"""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from conntap import _core
from conntap.doctor.nflog import PacketLog
from conntap.errors import ConntapError, KernelError, UnsupportedError, UsageError
from conntap.inside import within
from conntap.netns import NetNs, path_of
from conntap.rundir import folders, is_own

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["InvalidLog", "Note", "find_note", "restore"]

SYSCTL: Final = "/proc/sys/net/netfilter"
LOGGERS: Final = ("nf_log/2", "nf_log/10")
ASKED: Final = "nf_conntrack_log_invalid"
OURS: Final = "nfnetlink_log"
SO_NETNS_COOKIE: Final = 71


@dataclass(frozen=True, slots=True)
class Note:
    """What was there before, on disk.

    Attributes:
        path: of the note.
        pid: who wrote it.
        begun: when that process began, in the kernel's ticks: pids are used again.
        before: setting → its text before we changed it.
        ours: setting → the text that we wrote.
    """

    path: str
    pid: int
    begun: str
    before: dict[str, str]
    ours: dict[str, str]

    @property
    def alive(self) -> bool:
        """Whoever wrote it still runs."""
        return _begun(self.pid) == self.begun != ""

    @property
    def told(self) -> str:
        """What was changed, in words."""
        names = [name for name in self.ours if name in self.before]
        return ", ".join(f"{name.replace('/', '.')} is {self.ours[name]}, was {self.before[name]}" for name in names)


class InvalidLog:
    """The log while it is on: a context; `log` is what reads it.

    Raises on entering:
        KernelError: the kernel or another program is in the way; what was changed has been put back.
        UsageError: it is on already, by another `conntap doctor`.
    """

    def __init__(self, netns: NetNs, protocol: int) -> None:
        self._path = path_of(netns)
        self._protocol = protocol
        self._note: Note | None = None
        self._log: PacketLog | None = None

    @property
    def log(self) -> PacketLog:
        """What reads it; only inside."""
        if self._log is None:
            raise UsageError("the log of INVALID packets is not on")
        return self._log

    def __enter__(self) -> InvalidLog:
        found = find_note(self._path)
        if found is not None:
            if found.alive:
                raise UsageError(f"the log of INVALID packets is on already, by pid {found.pid}")
            raise UsageError(
                f"pid {found.pid} was killed while it had the log of INVALID packets on: {found.told}",
                hint="conntap doctor --restore puts it back (with the same --netns)",
            )
        before = {name: read(name, self._path) for name in (ASKED, *LOGGERS)}
        if before[ASKED] is None:
            raise ConntapError("there is no net.netfilter.nf_conntrack_log_invalid", hint="modprobe nf_conntrack")
        # Listen first: a line that nobody reads would be lost.
        self._log = within(self._path, PacketLog)
        try:
            ours = {name: OURS for name in LOGGERS if before[name] is not None} | {ASKED: str(self._protocol)}
            known = {name: text for name, text in before.items() if text is not None}
            self._note = write_note(self._path, known, ours)
            for name, text in ours.items():
                set_to = set_logger if name in LOGGERS else write
                set_to(name, text, self._path)
        except BaseException:
            self._put_back()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._put_back()

    def off(self) -> None:
        """Ask for no more lines; those on their way can still be read."""
        if self._note is not None:
            write(ASKED, self._note.before[ASKED], self._path)

    def _put_back(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._note is not None:
            note, self._note = self._note, None
            put_back(note, self._path)


def restore(netns: NetNs = None) -> Note | None:
    """Put back what a killed one left; return its note, or None where nothing was left.

    Raises:
        UsageError: whoever turned it on still runs.
        KernelError: a setting cannot be written.
    """
    path = path_of(netns)
    note = find_note(path)
    if note is None:
        return None
    if note.alive:
        raise UsageError(f"pid {note.pid} still has the log of INVALID packets on", hint="end it: it puts all back")
    put_back(note, path)
    return note


def put_back(note: Note, path: str | None) -> None:
    """Write what was there before, except where somebody has changed it since; then drop the note.

    Raises:
        KernelError: a setting cannot be written; the note stays.
    """
    failed: KernelError | None = None
    # Ask for no more lines first, so that none goes to the old logger.
    for name in (ASKED, *LOGGERS):
        if name not in note.before or name not in note.ours:
            continue
        try:
            if read(name, path) == note.ours[name]:
                write(name, note.before[name], path)
        except KernelError as error:
            failed = error
    if failed is not None:
        raise failed
    with suppress(FileNotFoundError):
        os.unlink(note.path)
    with suppress(OSError):  # others may lie there
        os.rmdir(os.path.dirname(note.path))


def read(name: str, path: str | None) -> str | None:
    """A setting below net/netfilter; None where it is not there."""
    try:
        return _core.read_in_namespace(f"{SYSCTL}/{name}", path).strip()
    except FileNotFoundError:
        return None
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def write(name: str, text: str, path: str | None) -> None:
    """Set it."""
    _core.write_in_namespace(f"{SYSCTL}/{name}", f"{text}\n", path)


def set_logger(name: str, text: str, path: str | None) -> None:
    """Make a module the logger of a family.

    Raises:
        UnsupportedError: the kernel has no such logger.
    """
    try:
        write(name, text, path)
    except OSError as error:  # KernelError is one
        if error.errno != errno.ENOENT:
            raise
        op = f"making {text} the logger (net.netfilter.{name.replace('/', '.')})"
        raise UnsupportedError(op, errno.ENOENT, "the kernel has no such logger", hint=f"modprobe {text}") from error


# -- the note ------------------------------------------------------------------------------------------------


def find_note(path: str | None) -> Note | None:
    """The note of a namespace, if there is one; a broken one counts as none."""
    for folder in folders():
        place = os.path.join(folder, note_name(path))
        try:
            if not is_own(folder):
                continue
            with open(place, encoding="utf-8") as file:
                found: Any = json.load(file)
            before, ours = cast("dict[str, str]", found["before"]), cast("dict[str, str]", found["ours"])
            return Note(place, int(found["pid"]), str(found["begun"]), dict(before), dict(ours))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def write_note(path: str | None, before: dict[str, str], ours: dict[str, str]) -> Note:
    """Write it where it survives us, but not the machine.

    Raises:
        ConntapError: nowhere; then nothing must be changed.
    """
    problem = ""
    for folder in folders():
        place = os.path.join(folder, note_name(path))
        note = Note(place, os.getpid(), _begun(os.getpid()), before, ours)
        text = json.dumps({"pid": note.pid, "begun": note.begun, "before": before, "ours": ours})
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if not is_own(folder):
                problem = f"{folder}: somebody else may write there"
                continue
            # A name of one's own, then moved: never half a note.
            fresh = f"{place}.{note.pid}"
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(fresh, place)
        except OSError as error:
            problem = f"{folder}: {error.strerror}"
            continue
        return note
    raise ConntapError(f"nowhere to note what was there before: {problem}", hint="make /run/conntap writable")


def note_name(path: str | None) -> str:
    """One for each namespace: its cookie is never used again before the machine starts anew."""
    return f"log-invalid-{within(path, _cookie)}.json"


def _cookie() -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as handle:
        try:
            return str(int.from_bytes(handle.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little"))
        except OSError:  # before Linux 5.12
            return f"inode-{os.stat('/proc/thread-self/ns/net').st_ino}"


def _begun(pid: int) -> str:
    """When a process began; "" where there is none. Source: proc(5), field 22 of stat."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
