"""The sample captures of tests/data/pcap, each with what it needs to be run and what kernel 6.18.44 said of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from conntap.lab.parity.harness import Options
from conntap.lab.parity.rules import USUAL_HELPERS
from conntap.lab.parity.run import AS_CAPTURED, AT_ONCE

DIRECTORY = Path(__file__).parent / "data/pcap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One entry of samples.toml; the keys are explained there."""

    name: str
    shows: str
    left: tuple[str, ...]
    pcap: str = ""
    helpers: bool = False
    nft: bool = False
    sysctls: dict[str, int] = field(default_factory=dict)
    timed: bool = False
    linger_s: float = 0.0

    @property
    def path(self) -> Path:
        return DIRECTORY / (self.pcap or f"{self.name}.pcap")

    @property
    def transcript(self) -> str:
        """What `replay.py` printed: packets, decoded events, tables."""
        return (DIRECTORY / f"{self.name}.events.txt").read_text()

    @property
    def recorded(self) -> str:
        """A run of the harness: `conntap.lab.parity.recorded.loads` reads it."""
        return (DIRECTORY / f"{self.name}.kernel.jsonl").read_text()

    def options(self, *, squeeze: bool = True, tables: bool = False) -> Options:
        """How to run it; *squeeze* leaves out gaps on which nothing depends."""
        return Options(
            left=self.left,
            helpers=USUAL_HELPERS if self.helpers else {},
            sysctls={f"netfilter/{name}": value for name, value in self.sysctls.items()},
            nft=(DIRECTORY / f"{self.name}.nft").read_text() if self.nft else "",
            pacing=AT_ONCE if squeeze and not self.timed else AS_CAPTURED,
            linger_s=self.linger_s,
            tables=tables,
        )


def _load() -> dict[str, Sample]:
    document = tomllib.loads((DIRECTORY / "samples.toml").read_text())
    common = document.pop("common")
    left = tuple(common["left"])
    return {
        name: Sample(name=name, **{"left": left, **keys, **({"left": tuple(keys["left"])} if "left" in keys else {})})
        for name, keys in document.items()
    }


SAMPLES = _load()
