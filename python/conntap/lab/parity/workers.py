"""Generated conversations on several cores: one process each, with a gateway of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from conntap.lab import kernel
from conntap.lab.parity import bulk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from conntap.lab.parity.bulk import Bulk, Task

__all__ = ["run_parallel"]

#: A gateway is up after some 50 ms: conversations that make up for that, and still few enough to show progress.
PART: Final = 500


def run_parallel(tasks: Iterable[Task], *, workers: int | None = None) -> Iterator[tuple[Task, Bulk]]:
    """Compare all conversations; yields each task's parts as they are done, with what was compared.

    Closing the iterator ends the work.

    Args:
        tasks: a task whose part differs in `most_found` batches still has its other parts done.
        workers: processes; None for one a core.

    Raises:
        LabError: a gateway cannot be built, or the kernel lost events.
    """
    parts = [(task, part) for task in tasks for part in task.parts(PART)]
    context = multiprocessing.get_context("spawn")  # a copy of this process would hold its sockets
    count = max(1, min(workers or len(os.sched_getaffinity(0)), len(parts)))
    pool = ProcessPoolExecutor(
        count, mp_context=context, initializer=kernel.die_with_parent, initargs=(signal.SIGKILL,)
    )
    with pool:
        waiting: dict[Future[Bulk], Task] = {pool.submit(bulk.run, part): task for task, part in parts}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)
