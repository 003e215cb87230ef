"""System programs: an ordinary user's PATH often lacks their folders."""

from __future__ import annotations

import os
import shutil
from typing import Final

__all__ = ["SYSTEM_PATH", "find"]

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def find(program: str) -> str | None:
    """The full path of a program, by PATH and then where system programs are; None: it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
