"""`python -m benches.section NAME PLAN FILE`: one section, inside its namespaces; the figures go to FILE as JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    name, plan, answer = sys.argv[1:]
    figures = import_module(f"benches.{name}").measure(json.loads(plan))
    Path(answer).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
