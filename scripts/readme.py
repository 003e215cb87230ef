"""Run every `sh` and `python` block of README.md, so that what it promises is true.

Each block runs in a sandbox of its own (fresh namespaces), `sudo` standing for nothing: in the
sandbox we are root already. Lines that build or install are left out: `make docs` has done that. A stream that does
not end by itself is ended after a moment with ctrl+c, as a reader would; that must give status 0.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A stream runs until it is told to stop.
STREAM_SECONDS = 3
# What `make setup` did, and what needs the network.
LEFT_OUT = re.compile(r"^\s*(git clone|cd |make\b|pip install|pipx |uv |apt |sudo (apt|make|ln)\b)")


def main() -> int:
    failed = 0
    for number, (language, text) in enumerate(BLOCK.findall((ROOT / "README.md").read_text()), start=1):
        commands = [("python", text)] if language == "python" else [("sh", line) for line in shell_lines(text)]
        for kind, command in commands:
            ok, output = run(kind, command)
            print(f"{'ok  ' if ok else 'FAIL'} block {number}: {command.strip().splitlines()[0]}")
            if not ok:
                failed += 1
                print(output, file=sys.stderr)
    return 1 if failed else 0


def shell_lines(text: str) -> list[str]:
    """The commands of a block; output that is shown below a `$` command is not one."""
    lines = text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    bare = (re.sub(r"\s+#.*", "", line).replace("sudo ", "") for line in lines if not LEFT_OUT.match(line))
    return [line for line in bare if line.strip() and not line.startswith("#")]


def run(kind: str, command: str) -> tuple[bool, str]:
    inner = [str(BIN / "python"), "-c", command] if kind == "python" else ["bash", "-euc", command]
    with tempfile.TemporaryDirectory() as here:
        process = subprocess.Popen(
            [str(BIN / "python"), "-m", "conntap.lab.sandbox", "--", *inner],
            cwd=ROOT,
            env={"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": here, "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=STREAM_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
            if kind == "python" and output.rstrip().endswith("KeyboardInterrupt"):
                return True, output  # a program without an end of its own
    return process.returncode == 0, output


if __name__ == "__main__":
    sys.exit(main())
