"""nfcapd's file of the same flows, sent to it as IPFIX: bytes a flow as it writes them, and packed by LZO and bzip2."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from benches import data
from benches.flood import wait_for
from benches.process import conntap
from benches.sinks import free_port, heard

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Nfcapd", "measure"]

PACKING = {"plain": [], "LZO (-z)": ["-z"], "bzip2 (-j)": ["-j"]}


class Nfcapd:
    """A running nfcapd."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True)
        command = ["nfcapd", "-b", "127.0.0.1", "-p", str(self.port), "-w", str(folder), "-B", "67108864", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: heard(self.port), "nfcapd to listen")

    def stop(self) -> None:
        """End it; it writes what it has."""
        self.process.terminate()
        self.process.wait(30)

    def bytes(self) -> int:
        """Size of its files."""
        return sum(path.stat().st_size for path in self.folder.glob("nfcapd.2*"))

    def ask(self, *words: str) -> str:
        """What nfdump says of them."""
        command = ["nfdump", "-q", "-R", str(self.folder), *words]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout

    def flows(self) -> int:
        """Flows that it stored."""
        return int(found[1]) if (found := re.search(r"^Flows: (\d+)", self.ask("-I"), re.MULTILINE)) else 0

    def count(self, where: str) -> int:
        """Flows that match a filter of nfdump's."""
        lines = self.ask("-o", "fmt:%pr", where).splitlines()
        return sum(1 for line in lines if line.strip() and not line.startswith("No match"))


def caught_up(port: int) -> bool:
    """Its queue is empty."""
    found = heard(port)
    return found is not None and found[1] == 0


def measure(recording: Path, flows: int) -> dict[str, Any]:
    """Send the recording's flows, as IPFIX over UDP without NAT events, and see what is stored."""
    if shutil.which("nfcapd") is None or shutil.which("nfdump") is None:
        return {"skipped": "nfcapd and nfdump are not installed (Debian: nfdump)"}
    figures: dict[str, Any] = {"sent": flows, "bytes_a_flow": {}, "stored": {}}
    with data.scratch() as folder:
        for number, (name, options) in enumerate(PACKING.items()):
            collector = Nfcapd(folder / str(number), *options)
            try:
                target = f"ipfix://127.0.0.1:{collector.port}?transport=udp&nat_events=no"
                subprocess.run(
                    [conntap(), "log", str(recording), "--quiet", "--to", target], check=True, stderr=subprocess.DEVNULL
                )
                wait_for(partial(caught_up, collector.port), "nfcapd to catch up")
            finally:
                collector.stop()
            stored = collector.flows()
            figures["stored"][name] = stored
            figures["bytes_a_flow"][name] = collector.bytes() / max(1, stored)
    return figures
