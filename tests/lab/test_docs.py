"""What docs/lab.md says is so: its program runs, its tables are whole."""

from __future__ import annotations

import os
import subprocess
import sys

from conntap.lab.scenarios import SCENARIOS


def test_the_program_in_the_docs_runs(root, need, lab):
    del lab
    need("ping")
    text = (root / "docs/lab.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "1 received" in done.stdout
    assert "[('NEW', 1)" in done.stdout


def test_every_scenario_has_its_row(root):
    text = (root / "docs/lab.md").read_text()
    assert [name for name in SCENARIOS if f"\n| `{name}` |" not in text] == []
