"""What holds for every test: how random ones are repeated, and that none goes quiet unnoticed."""

from __future__ import annotations

import fnmatch
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import Conntrack

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"

# No deadline: the time of one example says nothing on a shared machine. The seed comes from the command line.
settings.register_profile(
    "conntap", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("conntap")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """`tests/data`: real kernel messages and transcripts, each with its provenance beside it."""
    return DATA


@pytest.fixture
def netns() -> Iterator[int]:
    """A fresh network namespace that reports every flow: the pid of its holder. Gone after the test."""
    from conntap.lab import Host

    host = Host("test", first=None)
    host.sysctl({f"netfilter/nf_conntrack_{name}": 1 for name in ("events", "acct", "timestamp")})
    yield host.pid
    host.close()


@pytest.fixture
def ct(netns: int) -> Iterator[Conntrack]:
    """The connection tracking of a fresh, empty namespace."""
    import conntap

    with conntap.open(netns) as handle:
        yield handle


def udp(sport: int, **more: object) -> dict[str, object]:
    """Fields of a UDP flow 192.0.2.1:sport → 198.51.100.9:53."""
    return {
        "orig_src": "192.0.2.1",
        "orig_dst": "198.51.100.9",
        "l4proto": 17,
        "orig_sport": sport,
        "orig_dport": 53,
        "timeout": 300,
        **more,
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--held-skips",
        metavar="FILE",
        help="fail when a test is skipped for a reason that no line of FILE names",
    )


class HeldSkips:
    """Compares the reasons of skipped tests with the committed list."""

    def __init__(self, held: Path | None) -> None:
        self.patterns = list(read_patterns(held)) if held else None
        self.reasons: Counter[str] = Counter()

    def count(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.reasons[reason_of(report)] += 1

    pytest_runtest_logreport = count
    pytest_collectreport = count

    def unheld(self) -> list[str]:
        if self.patterns is None:
            return []
        return [
            reason for reason in self.reasons if not any(fnmatch.fnmatchcase(reason, held) for held in self.patterns)
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unheld() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        unheld = self.unheld()
        total = sum(self.reasons.values())
        terminalreporter.section(f"{total} skipped, for {len(self.reasons)} reasons")
        for reason, times in self.reasons.most_common():
            mark = "  NOT IN tests/skips.txt" if reason in unheld else ""
            terminalreporter.line(f"{times:5}  {reason}{mark}", red=bool(mark))


def read_patterns(held: Path) -> Iterator[str]:
    for line in held.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").splitlines()[0]


def pytest_configure(config: pytest.Config) -> None:
    held = config.getoption("--held-skips")
    config.pluginmanager.register(HeldSkips(Path(held) if held else None), "held-skips")
