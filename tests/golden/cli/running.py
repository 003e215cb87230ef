"""A command as a process of its own, on a real namespace, watched with deadlines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from golden.cli.stage import wait_for

COMMAND = [sys.executable, "-c", "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"]
#: Nothing here takes longer than some seconds, also on a busy machine.
DEADLINE = 30.0


def listeners(netns: int) -> int:
    """Count the sockets of a namespace that are subscribed to conntrack events. Source: /proc/net/netlink."""
    rows = [line.split() for line in Path(f"/proc/{netns}/net/netlink").read_text().splitlines()[1:]]
    return sum(1 for row in rows if row[1] == "12" and int(row[3], 16) & 0x3F)


class Running:
    """`conntap WORDS --netns …`, its output in files unless told otherwise."""

    def __init__(self, netns: int, folder: Path, *words: str, stdout: int | IO[bytes] | None = None) -> None:
        self.netns = netns
        self.out_path, self.err_path, self.sums_path = (folder / name for name in ("out", "err", "sums.json"))
        more = ["--netns", str(netns)]
        if words[0] in {"watch", "record", "expect"}:
            more += ["--summary", str(self.sums_path)]
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *words, *more],
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    @property
    def out(self) -> str:
        return self.out_path.read_text()

    @property
    def err(self) -> str:
        return self.err_path.read_text()

    @property
    def sums(self) -> dict[str, Any]:
        return json.loads(self.sums_path.read_text())

    def listening(self) -> Running:
        """Wait until the process is subscribed."""
        wait_for(lambda: self.process.poll() is not None or listeners(self.netns), "the subscription")
        assert self.process.poll() is None, self.err
        return self

    def wrote(self, text: str) -> None:
        """Wait until *text* is in the output."""
        wait_for(lambda: text in self.out or self.process.poll() is not None, f"'{text}' on stdout")
        assert text in self.out, self.err

    def ended(self) -> int:
        """Wait for the end; return the status."""
        return self.process.wait(DEADLINE)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)


def call(*words: str, under: tuple[str, ...] = (), **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*under, *COMMAND, *words], **{"capture_output": True, "text": True, "timeout": DEADLINE, **options}
    )
