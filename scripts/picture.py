"""Draws the README's picture: real output of `conntap lab run ftp-active`, on this kernel, as a terminal shows it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/images/watch.svg"
COLUMNS = 140
COMMAND = ["conntap", "lab", "run", "ftp-active", "--color", "--utc"]


def main() -> int:
    """Run the command and write the picture."""
    command = [str(ROOT / ".venv/bin" / COMMAND[0]), *COMMAND[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {' '.join(COMMAND[:4])}"))
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    for line in lines:
        console.print(Text.from_ansi(line), overflow="fold", highlight=False)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(console.export_svg(title="conntap", clear=False))
    print(f"wrote {PICTURE.relative_to(ROOT)}: {len(lines)} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
