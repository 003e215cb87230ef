"""Collectors as fixtures."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from collectors import TcpCollector, UdpCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until a condition holds, ten seconds at most."""

    def wait(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, f"not within ten seconds: {what}"
            time.sleep(0.002)

    return wait


@pytest.fixture
def udp() -> Iterator[UdpCollector]:
    collector = UdpCollector()
    yield collector
    collector.socket.close()


@pytest.fixture
def tcp() -> Iterator[TcpCollector]:
    collector = TcpCollector()
    yield collector
    collector.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key in one PEM file, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    file = tmp_path_factory.mktemp("tls") / "collector.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=collector"
    subprocess.run(
        ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + file.with_name(file.name + ".crt").read_bytes())
    return file
