"""Work done inside a network namespace, on a thread of its own that has entered it: the caller stays where it is."""

from __future__ import annotations

import ctypes
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from conntap.errors import from_errno

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["within"]

T = TypeVar("T")

CLONE_NEWNET: Final = 0x4000_0000


def within(namespace: str | None, work: Callable[[], T]) -> T:
    """Run *work* in the namespace whose file is *namespace* (None: this process's own) and return what it returns.

    /proc/sys/net is then that namespace's, as is /proc/thread-self/net; sockets made there stay there.

    Raises:
        PrivilegeError: it may not be entered.
        NotFoundError: there is no such file.
    """
    if namespace is None:
        return work()
    future: Future[T] = Future()

    def body() -> None:
        try:
            enter(namespace)
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=body, name="conntap-netns", daemon=True).start()
    return future.result()


def enter(namespace: str) -> None:
    """Let this thread enter a namespace. Source: setns(2)."""
    op = f"entering the network namespace {namespace}"
    try:
        handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise from_errno(op, error.errno or 0) from error
    try:
        # ctypes: os.setns came with Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise from_errno(op, ctypes.get_errno())
    finally:
        os.close(handle)
