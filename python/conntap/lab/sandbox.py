"""Run a program where it can do no harm: `python -m conntap.lab.sandbox -- PROGRAM ARGUMENT…`.

The program gets a network, mount and pid namespace of its own with `lo` up, in a new user namespace unless the
caller may make the others already; so it needs no root. When it ends, or whoever started it is killed, the kernel
ends everything inside. `make test` runs pytest this way; `conntap lab` and `conntap demo` re-execute themselves so.

Four processes: launcher (stays outside, so that nothing of the caller changes) → builder (makes the namespaces) →
init (process 1 of the pid namespace: reaps) → program. Each dies with the one before it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from conntap.lab import kernel
from conntap.lab.errors import LabError, MissingProgramError, NamespaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["enter", "main", "run"]

MS_NOSUID_NODEV_NOEXEC: Final = 0x2 | 0x4 | 0x8
MS_REC_PRIVATE: Final = 0x4000 | 0x4_0000

# Exit statuses between our own processes; what a program returns travels through unchanged.
REFUSED: Final = 125
NOT_FOUND: Final = 127

USERNS_HINT: Final = (
    "run as root, or allow unprivileged user namespaces: "
    "sysctl -w user.max_user_namespaces=15000 kernel.apparmor_restrict_unprivileged_userns=0"
)

_SIGNALS: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD}


def enter() -> NoReturn:
    """Start this program again, in a sandbox.

    Must be called before anything is open or printed that the second start would do twice.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execv(sys.executable, [sys.executable, "-m", "conntap.lab.sandbox", "--", *command])


def run(command: Sequence[str]) -> int:
    """Run *command* in a new sandbox and return its exit status (128 + n if signal n ended it).

    An empty command only tries whether a sandbox can be had. Where the kernel refuses a fresh /proc (some containers
    hide parts of theirs) the program shares the caller's pid namespace; what it started dies with its own parent only.

    Raises:
        NamespaceError: the kernel refuses the namespaces.
        MissingProgramError: there is no such program.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    status, reason = _launch(command, own_pids=True)
    if status == REFUSED and reason.startswith("mount /proc"):
        status, reason = _launch(command, own_pids=False)
    if status == REFUSED and reason:
        raise NamespaceError(f"cannot make namespaces: {reason}", hint=USERNS_HINT)
    if status == NOT_FOUND and reason:
        raise MissingProgramError(f"cannot run '{command[0]}': {reason}")
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program named on the command line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--"]:
        words = words[1:]
    if not words or words[0].startswith("-"):
        sys.stderr.write("usage: python -m conntap.lab.sandbox -- PROGRAM [ARGUMENT…]\n")
        return 2
    try:
        return run(words)
    except LabError as error:
        sys.stderr.write(f"conntap: {error}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return error.exit_code


def _launch(command: Sequence[str], *, own_pids: bool) -> tuple[int, str]:
    """Start the builder and wait; return the exit status and, if one of ours failed, the reason."""
    reading, writing = os.pipe()
    launcher = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        builder = _fork(lambda: _build(command, writing, launcher, own_pids=own_pids), reason=writing)
        os.close(writing)
        status = _wait_forwarding(builder)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        return status, pipe.read()


def _fork(work: Callable[[], int], *, reason: int) -> int:
    """Run *work* in a child; its result is the child's exit status. *reason* is the pipe that takes an error."""
    child = os.fork()
    if child:
        return child
    status = REFUSED
    try:
        status = work()
    except OSError as error:
        what = f"{error.filename or 'user namespace'}: {error.strerror or error}"
        os.write(reason, what.encode())
    finally:
        os._exit(status)


def _build(command: Sequence[str], reason: int, launcher: int, *, own_pids: bool) -> int:
    """Builder: make the namespaces, then wait for init."""
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != launcher:  # it died before the kernel knew of our wish
        return REFUSED
    if not kernel.has_sys_admin():
        _become_root()
        kernel.die_with_parent(signal.SIGKILL)  # a change of credentials forgets it
    kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "", MS_REC_PRIVATE)  # what is mounted from here on stays here
    _raise_loopback()
    if own_pids:
        kernel.unshare(kernel.CLONE_NEWPID)
    return _wait_forwarding(_fork(lambda: _init(command, reason, own_pids=own_pids), reason=reason))


def _init(command: Sequence[str], reason: int, *, own_pids: bool) -> int:
    """Init: process 1 of the pid namespace, whose end is the end of all processes in it."""
    kernel.die_with_parent(signal.SIGKILL)
    if own_pids:
        # /proc must speak of this pid namespace, or /proc/PID/ns/net would name strangers.
        kernel.mount("proc", "/proc", "proc", MS_NOSUID_NODEV_NOEXEC)
    if not command:
        return 0
    return _wait_forwarding(_fork(lambda: _execute(command, reason), reason=reason), orphans=own_pids)


def _execute(command: Sequence[str], reason: int) -> NoReturn:
    kernel.die_with_parent(signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.set_inheritable(reason, False)
    try:
        os.execvp(command[0], list(command))
    except OSError as error:
        os.write(reason, (error.strerror or str(error)).encode())
        os._exit(NOT_FOUND)


def _become_root() -> None:
    """Enter a new user namespace in which our own user is root. Source: user_namespaces(7)."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _raise_loopback() -> None:
    """Set IFF_UP on `lo`: SIOCSIFFLAGS on any socket, so that this needs no program."""
    import fcntl
    import socket
    import struct

    siocsifflags, iff_up = 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, siocsifflags, struct.pack("16sh14x", b"lo", iff_up))


def _wait_forwarding(child: int, *, orphans: bool = False) -> int:
    """Wait for *child*, pass signals on, reap *orphans* too; return its status as a shell would say it.

    The signals are blocked already: no moment is left in which one could be missed.
    """
    while True:
        while (found := os.waitpid(-1 if orphans else child, os.WNOHANG)) != (0, 0):
            pid, status = found
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        info = signal.sigwaitinfo(_SIGNALS)
        # A signal from the terminal (si_code > 0) went to the whole foreground group: the program has it already.
        if info.si_signo != signal.SIGCHLD and info.si_code <= 0:
            os.kill(child, info.si_signo)


if __name__ == "__main__":
    sys.exit(main())
