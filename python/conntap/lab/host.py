"""One machine of the lab: a network namespace, and the ways to do something in it.

The namespace lives as long as its holder, a process that waits for the end of its standard input and so for ours.
Nothing is mounted and nothing appears in /run/netns. All holders and all programs of a lab share one pid namespace
whose first process is the first holder: when that goes, the kernel ends the others.

Work enters by *threads*: a namespace belongs to a thread, and what a thread opens or starts belongs to its namespace.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from conntap.lab import kernel
from conntap.lab.errors import LabError, NamespaceError
from conntap.lab.programs import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Host"]

P = ParamSpec("P")
T = TypeVar("T")

COMMAND_TIMEOUT_SECONDS: Final = 20.0


class Host:
    """A network namespace with a name; `pid` is what `conntap.open(netns=…)` takes.

    Made by `Lab`, which closes it. Safe to use from several threads.
    """

    __slots__ = ("_holder", "_net", "_pids", "_programs", "name")

    def __init__(self, name: str, *, first: Host | None) -> None:
        """Make the namespace; *first* is the host whose pid namespace this one shares."""
        self.name = name
        self._programs: list[subprocess.Popen[bytes]] = []
        self._holder = _in_thread(f"lab-{name}", _hold, None if first is None else first._pids).result()
        self._net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._pids = os.open(f"/proc/{self.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def pid(self) -> int:
        """The holder's process id: /proc/PID/ns/net is this host's network."""
        return self._holder.pid

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a function on a thread of its own in this host; sockets that it opens belong to the host."""
        return _in_thread(f"lab-{self.name}", self._enter_and, work, *args, **kwargs)

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in this host and return what it returns, or raise what it raises."""
        return self.start(work, *args, **kwargs).result()

    def popen(self, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program in this host, with pipes for its input and output; it ends with the lab at the latest.

        Raises:
            MissingProgramError: it is not installed.
        """
        path = require(command[0])

        def begin() -> subprocess.Popen[bytes]:
            kernel.setns(self._pids, kernel.CLONE_NEWPID)
            return subprocess.Popen(
                [path, *command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,  # ctrl+c is ours to handle
            )

        program = self.call(begin)
        self._programs.append(program)
        return program

    def run(self, command: Sequence[str], *, input: str = "", check: bool = True) -> str:
        """Run a program in this host to its end and return its standard output.

        Raises:
            LabError: it failed (unless *check* is false) or took longer than 20 s; the text holds its last words.
            MissingProgramError: it is not installed.
        """
        with self.popen(command) as program:
            try:
                out, err = program.communicate(input.encode(), timeout=COMMAND_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired as error:
                program.kill()
                raise LabError(f"{self.name}: {' '.join(command)}: no end after {error.timeout:g} s") from error
        self._programs.remove(program)
        if check and program.returncode != 0:
            words = err.decode(errors="replace").strip() or f"exit status {program.returncode}"
            raise LabError(f"{self.name}: {' '.join(command)}: {words}")
        return out.decode(errors="replace")

    def sysctl(self, settings: Mapping[str, int | str]) -> None:
        """Write settings of this namespace, named by their path under /proc/sys/net.

        Raises:
            LabError: one does not exist or may not be written.
        """
        self.call(_write_sysctl, settings)

    def listeners(self) -> int:
        """Count the sockets in this host that are subscribed to conntrack events. Source: /proc/net/netlink."""
        return self.call(_count_listeners)

    def close(self) -> None:
        """End the programs and the holder. May be called twice."""
        for process in [*self._programs, self._holder]:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()
        self._programs.clear()
        for fd in (self._net, self._pids):
            if fd >= 0:
                os.close(fd)
        self._net = self._pids = -1

    def _enter_and(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._net < 0:
            raise LabError(f"{self.name} has been taken down")
        kernel.setns(self._net, kernel.CLONE_NEWNET)
        return work(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Host {self.name} pid {self.pid}>"


def _in_thread(name: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run on a new thread that is never used again: it cannot leave the namespace for the next user."""
    future: Future[T] = Future()

    def body() -> None:
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future


def _hold(pids: int | None) -> subprocess.Popen[bytes]:
    """Make a network namespace (and the pid namespace, for the first host) and a process that holds it."""
    try:
        if pids is None:
            kernel.unshare(kernel.CLONE_NEWPID)
        else:
            kernel.setns(pids, kernel.CLONE_NEWPID)
        kernel.unshare(kernel.CLONE_NEWNET)
    except OSError as error:
        hint = "run as root, or in a sandbox: python -m conntap.lab.sandbox -- PROGRAM"
        raise NamespaceError(f"cannot make namespaces: {error.strerror}", hint=hint) from error
    # `cat` ends with its input, hence with us, however we end; a new session keeps ctrl+c from it.
    return subprocess.Popen(
        [require("cat")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", start_new_session=True,
    )  # fmt: skip


def _write_sysctl(settings: Mapping[str, int | str]) -> None:
    for name, value in settings.items():
        path = f"/proc/sys/net/{name}"
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(str(value))
        except OSError as error:
            raise LabError(f"cannot set {path}: {error.strerror}") from error


def _count_listeners() -> int:
    """Columns: sk, Eth (protocol; 12 is NETLINK_NETFILTER), Pid, Groups (mask; bits 0-5 are conntrack's)."""
    with open("/proc/thread-self/net/netlink", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(1 for row in rows if row[1] == "12" and int(row[3], 16) & 0x3F)
