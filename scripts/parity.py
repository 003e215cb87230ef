"""Compare the engine with this kernel for some minutes: generated conversations of every kind, mixed and each alone.

`make parity` runs it. Prints a table, and every difference with the command that repeats it; exit 1 if there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

from conntap.errors import ConntapError
from conntap.lab import kernel, sandbox
from conntap.lab.parity.bulk import Bulk, Task
from conntap.lab.parity.generate import kinds
from conntap.lab.parity.workers import run_parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Conversations: of the usual mixture, and of each kind alone, without and with translation.
MIXED, EACH = (20_000, 400), (4_000, 200)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--scale", type=float, default=1.0, help="so many times as many conversations")
    given = parser.parse_args()
    if not kernel.has_sys_admin():
        sandbox.enter()
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    tasks = list(all_tasks(given.seed, given.scale))
    found = {task: Bulk() for task in tasks}
    for task, part in run_parallel(tasks):
        found[task].add(part)
        for different in part.found:
            print(different.text(), flush=True)
        if sys.stderr.isatty():
            done = sum(sums.conversations for sums in found.values())
            sys.stderr.write(f"\r{done:,} conversations \r")
    print_table(found, time.monotonic() - began)
    return 1 if any(sums.found for sums in found.values()) else 0


def all_tasks(seed: int, scale: float) -> Iterator[Task]:
    """The mixtures, then each kind."""
    for nat, (mixed, each) in ((False, MIXED), (True, EACH)):
        yield Task(seed=seed, count=round(mixed * scale), nat=nat, most_found=3)
        for kind in kinds(nat=nat):
            # Numbers behind those of the mixture: other conversations.
            yield Task(seed=seed, first=mixed, count=round(each * scale), kind=kind, nat=nat, most_found=3)


def print_table(found: dict[Task, Bulk], seconds: float) -> None:
    """As Markdown, with sums."""
    print("| kind | conversations | packets | events | forwarded | differences | seconds of CPU |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    total = Bulk()
    for task, sums in found.items():
        total.add(sums)
        print_row(task.kind or ("nat, mixed" if task.nat else "mixed"), sums)
    print_row("all", total)
    print(f"\n{seconds:.0f} s")


def print_row(name: str, sums: Bulk) -> None:
    numbers = (sums.conversations, sums.packets, sums.messages, sums.forwarded, len(sums.found), round(sums.seconds))
    print(f"| {name} |" + "".join(f" {number:,} |" for number in numbers))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConntapError as error:
        sys.exit(f"{error}\n{error.hint or ''}".strip())
