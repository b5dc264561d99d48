"""A JSON-RPC server on a free loopback port that answers whatever a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, list], "tuple[int, bytes]"]


def result(value: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"jsonrpc": "2.0", "id": 0, "result": value}).encode()


def error(code: int, message: str, data: Any = None) -> tuple[int, bytes]:
    fields = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return 200, json.dumps({"jsonrpc": "2.0", "id": 0, "error": fields}).encode()


class LyingNode:
    """Context manager; `answer(method, params)` gives the HTTP status and body of each call."""

    def __init__(self, answer: Answer):
        self.answer = answer
        self.calls: list[tuple[str, list]] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.calls.append((request["method"], request["params"]))
                status, body = node.answer(request["method"], request["params"])
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Tests read what they need from the answers."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LyingNode:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
