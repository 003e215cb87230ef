"""Record anew what this machine's kernel says of the samples; times are those of the captures, so it takes ten seconds.

Run as `python -m conntap.lab.sandbox -- python tests/pcap_record.py`.
"""

from __future__ import annotations

import ipaddress
import platform
from concurrent.futures import ThreadPoolExecutor

from conntap.lab.parity import capture, recorded
from conntap.lab.parity.harness import run_kernel
from pcap_samples import DIRECTORY, SAMPLES, Sample


def record(sample: Sample) -> None:
    left = frozenset(ipaddress.ip_address(address).packed for address in sample.left)
    run = run_kernel(capture.read(sample.path, left=left).packets, sample.options(squeeze=False))
    text = recorded.dumps(run, source=f"Linux {platform.release().partition('-')[0]}, {sample.name}")
    (DIRECTORY / f"{sample.name}.kernel.jsonl").write_text(text)


if __name__ == "__main__":
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(record, SAMPLES.values()))
