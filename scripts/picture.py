"""Draws the README's pictures: real output of commands, on this kernel, as a terminal shows it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs/images"
RUN = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"
DATA = "python/conntap/lab/data"
#: Picture → columns, the command, how many of its words are shown.
PICTURES = {
    "watch.svg": (140, ["conntap", "lab", "run", "ftp-active", "--color", "--utc"], 4),
    "audit-prove.svg": (
        150,
        ["conntap", "audit", f"{DATA}/home-router.nft.json", "--only", "A001,A005", "--prove", "--color"],
        6,
    ),
}


def main() -> int:
    """Run the commands and write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    for name, (columns, words, shown) in PICTURES.items():
        command = [sys.executable, "-c", RUN, *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode not in (0, 1):  # of an audit 1 says that something was found
            sys.exit(f"{' '.join(words)}: {done.stderr}")
        console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi(f"$ {' '.join(words[:shown])}"))
        lines = done.stdout.splitlines()
        for line in lines:
            console.print(Text.from_ansi(line), no_wrap=True, overflow="ignore", crop=False, highlight=False)
        (IMAGES / name).write_text(console.export_svg(title="conntap", clear=False))
        print(f"wrote docs/images/{name}: {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
