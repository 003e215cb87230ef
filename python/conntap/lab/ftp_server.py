"""The lab's FTP server: pyftpdlib with one anonymous file. `python -m conntap.lab.ftp_server ADDRESS PORT`.

Says `ready` on its standard output when it listens, `missing` when there is no pyftpdlib.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["FILE_BYTES", "FILE_NAME", "main"]

FILE_NAME: Final = "lab.bin"
FILE_BYTES: Final = 256 * 1024


def main() -> int:
    """Serve until killed."""
    try:
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer
    except ImportError:
        print("missing", flush=True)
        return 1
    address, port = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="conntap-lab-") as folder:
        Path(folder, FILE_NAME).write_bytes(bytes(FILE_BYTES))
        authorizer = DummyAuthorizer()
        authorizer.add_anonymous(folder)
        handler = FTPHandler
        handler.authorizer = authorizer
        server = FTPServer((address, port), handler)
        print("ready", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
