"""The lab's FTP server: pyftpdlib with one anonymous file. `python -m conntap.lab.ftp_server ADDRESS PORT`.

Says `ready` on its standard output when it listens, `missing` when there is no pyftpdlib. The file is in memory, so
that nothing stays on disk however the server ends.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any, Final

__all__ = ["FILE_BYTES", "FILE_NAME", "main"]

FILE_NAME: Final = "lab.bin"
FILE_BYTES: Final = 256 * 1024


class MemoryFile(io.BytesIO):
    """The file; pyftpdlib logs the name."""

    name = FILE_NAME


def main() -> int:
    """Serve until killed."""
    try:
        # Without types: each is used once.
        authorizers: Any = import_module("pyftpdlib.authorizers")
        filesystems: Any = import_module("pyftpdlib.filesystems")
        handlers: Any = import_module("pyftpdlib.handlers")
        servers: Any = import_module("pyftpdlib.servers")
    except ImportError:
        _say("missing")
        return 1

    class OneFile(filesystems.AbstractedFS):
        """Whatever is asked for is the file."""

        def open(self, filename: str, mode: str) -> MemoryFile:
            return MemoryFile(bytes(FILE_BYTES))

    authorizer = authorizers.DummyAuthorizer()
    authorizer.add_anonymous("/")
    handler = handlers.FTPHandler
    handler.authorizer = authorizer
    handler.abstracted_fs = OneFile
    handler.use_sendfile = False  # wants a descriptor
    server = servers.FTPServer((sys.argv[1], int(sys.argv[2])), handler)
    _say("ready")
    server.serve_forever()
    return 0


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
