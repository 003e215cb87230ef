"""Who asked what, when and for which case: one line of JSON a question in DIR/queries.jsonl."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["note"]

NAME = "queries.jsonl"


def note(directory: str, *, now_ns: int, question: dict[str, Any], case: str | None, found: int) -> bool:
    """Append a line; False where the directory is not ours to write in.

    Raises:
        OSError: it is, and the line could not be written.
    """
    line = {
        "asked_ns": now_ns,
        "uid": os.getuid(),
        "user": user(),
        "case": case,
        "question": question,
        "found": found,
    }
    try:
        descriptor = os.open(
            os.path.join(directory, NAME), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640
        )
    except PermissionError:
        return False
    except OSError as error:
        if error.errno == 30:  # EROFS: a copy on a read-only medium
            return False
        raise
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return True


def user() -> str:
    """Who asks: behind sudo the person, otherwise the name of the user id."""
    import pwd

    if behind := os.environ.get("SUDO_USER"):
        return behind
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
