"""The lab's FTP server: pyftpdlib with one anonymous file. `python -m conntap.lab.ftp_server ADDRESS PORT`.

Says `ready` on its standard output when it listens, `missing` when there is no pyftpdlib.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

__all__ = ["FILE_BYTES", "FILE_NAME", "main"]

FILE_NAME: Final = "lab.bin"
FILE_BYTES: Final = 256 * 1024


def main() -> int:
    """Serve until killed."""
    try:
        # Without types: each is used once.
        authorizers: Any = import_module("pyftpdlib.authorizers")
        handlers: Any = import_module("pyftpdlib.handlers")
        servers: Any = import_module("pyftpdlib.servers")
    except ImportError:
        _say("missing")
        return 1
    address, port = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="conntap-lab-") as folder:
        Path(folder, FILE_NAME).write_bytes(bytes(FILE_BYTES))
        authorizer = authorizers.DummyAuthorizer()
        authorizer.add_anonymous(folder)
        handler = handlers.FTPHandler
        handler.authorizer = authorizer
        server = servers.FTPServer((address, port), handler)
        _say("ready")
        server.serve_forever()
    return 0


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
