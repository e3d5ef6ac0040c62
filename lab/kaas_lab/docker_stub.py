"""Answers `/info` as Docker does: the Dev provider asks it for the size of every machine template.

    python -m kaas_lab.docker_stub PORT

There is no Docker. The in-memory machines need none, but without an answer their templates have no capacity.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = json.dumps({"MemTotal": 16 << 30, "NCPU": 4}).encode()


class _Docker(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = INFO if self.path.endswith("/info") else b"OK"
        self.send_response(200)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent: one line a template and minute is of no use."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Docker).serve_forever()
