"""Completions and man pages are read by the programs that they are for."""

from __future__ import annotations

import shutil
import subprocess

import pytest

SHARE = "packaging/wheel/data/share"


def need(program: str) -> str:
    return shutil.which(program) or pytest.skip(f"needs the program {program}")


@pytest.mark.parametrize(
    ("shell", "folder", "name"),
    [
        ("bash", "bash-completion/completions", "{}"),
        ("zsh", "zsh/site-functions", "_{}"),
        ("fish", "fish/vendor_completions.d", "{}.fish"),
    ],
)
def test_the_shell_reads_its_completions(root, shell, folder, name):
    for program in ("conntap", "conntap-conntrack"):
        script = root / SHARE / folder / name.format(program)
        done = subprocess.run([need(shell), "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script.name


def test_every_command_has_a_man_page(root):
    from conntap.cli.main import COMMANDS

    pages = {path.name for path in (root / SHARE / "man").rglob("*.[18]")}
    assert pages == {"conntap.1", "conntap-conntrack.8", *(f"conntap-{command}.1" for command in COMMANDS)}


def test_every_man_page_is_clean_roff(root):
    for page in sorted((root / SHARE / "man").rglob("*.[18]")):
        done = subprocess.run(
            [need("groff"), "-man", "-Tutf8", "-Kutf8", "-ww", "-z", str(page)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), page.name


def complete(root, *words: str) -> list[str]:
    """What bash offers for the last of *words*."""
    script = (
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _conntap_conntrack; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = str(root / SHARE / "bash-completion/completions/conntap-conntrack")
    done = subprocess.run(
        [need("bash"), "-uc", script, path, "conntap-conntrack", *words], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["-L", "e"], ["expect"]),
        (["-L", "-o", "xml,ti"], ["xml,timestamp"]),
        (["-p", "ud"], ["udp", "udplite"]),
        (["-L", "--any"], ["--any-nat"]),
        (["-p", "tcp", "--state", "SYN_SENT"], ["SYN_SENT", "SYN_SENT2"]),
    ],
)
def test_bash_offers_what_fits(root, words, offered):
    assert complete(root, *words) == offered
