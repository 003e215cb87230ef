"""Completions and man pages are read by the programs that they are for."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def need(program: str) -> str:
    return shutil.which(program) or pytest.skip(f"needs the program {program}")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_its_completions(root, shell):
    scripts = sorted((root / "packaging/completions").glob(f"*.{shell}"))
    assert {script.stem for script in scripts} == {"conntap", "conntap-conntrack"}
    for script in scripts:
        done = subprocess.run([need(shell), "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script.name


def test_every_man_page_is_clean_roff(root):
    pages = sorted((root / "packaging/man").iterdir())
    assert pages
    for page in pages:
        done = subprocess.run(
            [need("groff"), "-man", "-Tutf8", "-Kutf8", "-ww", "-z", str(page)], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, ""), page.name


def complete(root, *words: str) -> list[str]:
    """What bash offers for the last of *words*."""
    script = (
        'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _conntap_conntrack; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = str(root / "packaging/completions/conntap-conntrack.bash")
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
