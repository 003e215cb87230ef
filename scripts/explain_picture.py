"""Draws the README's picture of `conntap explain`: the FTP session that the lab recorded, as the engine tells it."""

from __future__ import annotations

import sys
from pathlib import Path

from conntap.explain import explain
from conntap.explain.svg import picture
from conntap.helpers.assign import assign
from conntap.nat import masquerade
from conntap.tracker import Setup

ROOT = Path(__file__).resolve().parent.parent
CAPTURE = ROOT / "python/conntap/lab/data/ftp-active.pcap"
PICTURE = ROOT / "docs/images/explain-ftp.svg"


def main() -> int:
    """Tell the story and write the picture; the same capture gives the same bytes."""
    setup = Setup(helpers=tuple(assign("ftp")), nat=(masquerade("203.0.113.1"),))
    (story,) = explain(CAPTURE, "dport 21", setup)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(story))
    print(f"wrote {PICTURE.relative_to(ROOT)}: {len(story.steps)} steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
