"""Runs programs and says what they cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ROOT", "Cost", "conntap", "real_conntrack", "sandboxed", "timed", "tool"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run of a program cost; times in seconds."""

    wall: float
    user: float
    system: float
    peak_kib: int
    output: str = ""

    @property
    def cpu(self) -> float:
        return self.user + self.system


@cache
def tool() -> str:
    """Return the path of the measuring program; built by `build`."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "conntap-bench")


def build() -> None:
    """Build the measuring program."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "conntap-bench"], cwd=ROOT, check=True)


def conntap(name: str = "conntap") -> str:
    """Return the path of our own command, beside this interpreter."""
    return str(Path(sys.executable).parent / name)


@cache
def real_conntrack() -> str | None:
    """Return the path of conntrack-tools' command, if it is installed."""
    return shutil.which("conntrack", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def timed(command: Sequence[str], *, keep_output: bool = False) -> Cost:
    """Run *command* with its standard output thrown away (or kept), and measure it."""
    with tempfile.NamedTemporaryFile() as report:
        done = subprocess.run(
            [tool(), "timed", "--report", report.name, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if keep_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        cost = json.loads(report.read() or b"{}")
    if done.returncode or cost.get("exit") != 0:
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stderr}")
    return Cost(
        wall=cost["wall"],
        user=cost["user"],
        system=cost["system"],
        peak_kib=cost["peak_kib"],
        output=done.stdout if keep_output else "",
    )


def sandboxed(section: str, plan: dict[str, Any]) -> dict[str, Any]:
    """Run one section of the benchmark in namespaces of its own, and return what it measured."""
    with tempfile.NamedTemporaryFile() as answer:
        arguments = [section, json.dumps(plan), answer.name]
        launcher = [sys.executable, "-m", "conntap.lab.sandbox", "--"]
        subprocess.run([*launcher, sys.executable, "-m", "benches.section", *arguments], cwd=ROOT, check=True)
        return json.loads(answer.read())
