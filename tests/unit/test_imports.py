"""Start-up loads what it needs and nothing more: the list of what it may load is here."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

# Modules of the standard library that cost milliseconds, and every program's own: nothing that only prints help
# or answers one request has a use for them.
HEAVY = frozenset({
    "asyncio", "concurrent.futures", "ctypes", "decimal", "email", "http.client", "ipaddress", "logging",
    "multiprocessing", "pydoc", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "unittest",
    "urllib.request", "xml.etree",
})  # fmt: skip

HELP = """
from conntap.cli.main import main
import sys
main(["--help"])
"""

DROPIN = """
import sys
from conntap.dropin import main
sys.argv = ["conntrack", "-V"]
try:
    main()
except SystemExit:
    pass
"""

REPORT = """
import sys as _s
_before = set(_s.modules)
{code}
_s.stdout.flush()
print("\\n" + repr(sorted(set(_s.modules) - _before)))
"""


def loaded_by(code: str) -> set[str]:
    """Modules that *code* adds to a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", REPORT.format(code=code)], capture_output=True, text=True, check=True
    )
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def foreign(modules: set[str]) -> set[str]:
    """Top-level packages that are neither ours nor Python's own."""
    return {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"conntap"}


def ours(modules: set[str]) -> set[str]:
    return {module for module in modules if module.partition(".")[0] == "conntap"}


@pytest.fixture(scope="module")
def by_help() -> set[str]:
    return loaded_by(HELP)


@pytest.fixture(scope="module")
def by_dropin() -> set[str]:
    return loaded_by(DROPIN)


def test_importing_conntap_loads_nothing_else():
    assert ours(loaded_by("import conntap")) == {"conntap"}
    assert not foreign(loaded_by("import conntap"))


def test_help_needs_click_and_nothing_of_others(by_help):
    assert foreign(by_help) <= {"click"}


def test_help_loads_no_command_and_not_the_core(by_help):
    allowed = {"conntap", "conntap.cli", "conntap.cli.main", "conntap.cli.io", "conntap.errors"}
    assert ours(by_help) <= allowed


def test_dropin_needs_nothing_of_others(by_dropin):
    assert not foreign(by_dropin)


def test_dropin_stands_on_the_core_alone(by_dropin):
    beside = {module for module in ours(by_dropin) if not module.startswith("conntap.dropin")}
    assert beside <= {"conntap", "conntap._core", "conntap.errors", "conntap.model"}


def test_dropin_loads_nothing_heavy(by_dropin):
    # These alone take as long to load as the drop-in takes to answer.
    assert not by_dropin & (HEAVY | {"argparse", "dataclasses", "enum", "re", "typing"})


def test_reading_a_table_needs_no_event_loop():
    by_click = loaded_by("import click, click.shell_completion, click.formatting")
    by_list = loaded_by("import conntap.cli.list, conntap.kernel, conntap.streams, conntap.filter")
    assert not (by_list - by_click) & HEAVY


# What only packets need: the engine's face, its helpers, files of packets.
PACKETS = {"captures", "explain", "files", "helpers", "interface", "nat", "sent", "tracker"}


@pytest.mark.parametrize("command", ["list", "watch", "expect", "replay", "record", "count", "delete", "stats"])
def test_a_command_on_the_kernel_loads_nothing_of_packets(command):
    loaded = ours(loaded_by(f"import conntap.cli.{command}, conntap.kernel, conntap.cli.output, conntap.cli.stream"))
    assert not {name for name in loaded if name.split(".")[1:2] and name.split(".")[1] in PACKETS}


def test_a_recording_is_replayed_without_the_engines_helpers():
    loaded = ours(loaded_by("import conntap; list(conntap.replay('python/conntap/lab/data/ftp.pcapng'))"))
    assert not {name for name in loaded if name.startswith(("conntap.helpers", "conntap.tracker", "conntap.captures"))}


def test_packets_load_only_the_helpers_that_are_assigned():
    code = "from conntap import Setup, Tracker; from conntap.helpers.assign import assign; "
    code += "Tracker(Setup(helpers=assign('ftp')))"
    helpers = {name.rpartition(".")[2] for name in ours(loaded_by(code)) if name.startswith("conntap.helpers.")}
    assert {"ftp", "runtime"} <= helpers
    assert not helpers & {"sip", "h323", "pptp", "irc", "snmp"}


def test_help_loads_nothing_heavy_but_what_click_does(by_help):
    by_click = loaded_by("import click, click.shell_completion, click.formatting")
    assert not (by_help - by_click) & HEAVY
