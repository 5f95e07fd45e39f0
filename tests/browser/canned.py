"""A core with canned answers under the real pages: every state of a phone at once, no radio."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import msgspec

import bluezone.phone.app
from bluezone.phone.app.interface import Fault
from bluezone.web.catalogue import _messages
from tests.browser.answers import usual_answers

PAGES: Final = Path(bluezone.phone.app.__file__).parent / "pages"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
Given = dict[str, Any]


class CannedCore:
    """Serves the pages and `answers`, which a test changes: by "GET state" and the like.

    An answer is a message of the interface, a pair of status and Fault, or a function of what was
    asked. `asked` remembers every POST and DELETE with its body.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = usual_answers()
        self.asked: list[tuple[str, Given]] = []
        core = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                core._answer(self, "GET", {})

            def do_POST(self) -> None:
                core._answer(self, "POST", self._given())

            def do_DELETE(self) -> None:
                core._answer(self, "DELETE", self._given())

            def _given(self) -> Given:
                length = int(self.headers.get("content-length") or 0)
                given: Given = json.loads(self.rfile.read(length) or b"{}")
                return given

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # The interval, in seconds, is how long closing may take.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """No answer any more: as when the phone's process has ended."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler, method: str, given: Given) -> None:
        path = request.path.split("?")[0].removeprefix("/")
        if not path.startswith("api/v1/"):
            self._file(request, path or "index.html")
            return
        name = path.removeprefix("api/v1/")
        if method != "GET":
            self.asked.append((f"{method} {name}", given))
        if name.startswith("words/"):
            _reply(request, 200, json.dumps(_messages(name[6:])).encode(), _TYPES[".webmanifest"])
            return
        answer = self.answers.get(f"{method} {name}")
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(given)
        if answer is None:
            answer = 404, Fault("not-found", {"vi": "Không có trang này.", "en": "Not found."})
        status, message = answer if isinstance(answer, tuple) else (200, answer)
        _reply(request, status, msgspec.json.encode(message), "application/json")

    def _file(self, request: BaseHTTPRequestHandler, name: str) -> None:
        file = PAGES / name
        if "/" in name or not file.is_file():
            _reply(request, 404, b"", "text/plain")
            return
        _reply(request, 200, file.read_bytes(), _TYPES[file.suffix])


def _reply(request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
    request.send_response(status)
    request.send_header("content-type", kind)
    request.send_header("content-length", str(len(body)))
    request.send_header("content-security-policy", POLICY)
    request.end_headers()
    request.wfile.write(body)
