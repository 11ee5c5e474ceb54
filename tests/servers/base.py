"""A web server on loopback for the tests of the sources: it answers as a source documents, and fails as it is told."""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Accept our terms.</body></html>"


@dataclass(frozen=True)
class Reply:
    """What is sent: `body` as it is; `cut`: only so many bytes of it, though the whole is announced."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    """Return a reply of JSON; header names with underscores for dashes."""
    names = {k.replace("_", "-"): v for k, v in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **names})


@dataclass(frozen=True)
class Asked:
    """One request as it arrived: path (decoded), query, headers (names in lower case), when (monotonic seconds)."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    when: float


@dataclass
class Fault:
    """Something wrong with the next `times` answers whose path holds `match`.

    kind: "html" (a web page, status 200) · "half" (cut off after half the announced bytes) · "torn" (half, announced as whole) ·
    "empty" (no body) · "hang" (nothing at all until the server stops) · "drip" (a byte each 0.05 s) · "reset" (the connection
    closes without an answer) · "status" (with `status`, `headers` and `body`) · "body" (`body` in place of the right one).
    """

    kind: str
    times: int = 1
    match: str = ""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Server:
    """A server of one source: `answer` is what it gives, `faults` what goes wrong; a context manager.

    asked: every request; busiest: the most that were under way at once; work: seconds that each answer takes; clock: seconds
    by which its own is ahead of this machine's.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.under_way = self.busiest = 0
        self.busy_seconds = 0.0
        self.work = self.clock = 0.0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.web = Web(("127.0.0.1", 0), handler_of(self))
        self.thread = threading.Thread(target=self.web.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def answer(self, asked: Asked) -> Reply:
        """Return the right answer to a request."""
        raise NotImplementedError

    def fail(self, kind: str, times: int = 1, **options: object) -> None:
        """Let the next answers be wrong; see `Fault`."""
        with self.lock:
            self.faults.append(Fault(kind, times, **options))  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.web.server_port}"

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in the order of their arrival."""
        return [asked.path for asked in self.asked]

    def fault_of(self, asked: Asked) -> Fault | None:
        """Take the first fault that is meant for a request."""
        with self.lock:
            for fault in self.faults:
                if fault.match in asked.path:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def stop(self) -> None:
        """Close the port; what still hangs is let go."""
        if not self.stopping.is_set():
            self.stopping.set()
            self.web.shutdown()
            self.web.server_close()
            self.web.drop_connections()

    def __enter__(self) -> "Server":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Web(ThreadingHTTPServer):
    """The threads and sockets below a `Server`; connections are kept, so that they can be closed at the end."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, *arguments: object) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*arguments)  # type: ignore[arg-type]

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        self.open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that goes away is part of the tests."""


def handler_of(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            serve(server, self)

        do_POST = do_GET  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            """The Date of an answer, by the server's clock."""
            return super().date_time_string((time.time() if timestamp is None else timestamp) + server.clock)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


def serve(server: Server, handler: BaseHTTPRequestHandler) -> None:
    """Answer one request, rightly or as the next fault says."""
    began = time.monotonic()
    parts = urlsplit(handler.path)
    headers = {k.lower(): v for k, v in handler.headers.items()}
    asked = Asked(unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)), headers, began)
    with server.lock:
        server.asked.append(asked)
        server.under_way += 1
        server.busiest = max(server.busiest, server.under_way)
    try:
        fault = server.fault_of(asked)
        if server.work:
            time.sleep(server.work)
        wrong(server, handler, asked, fault) if fault else send(handler, server.answer(asked))
    finally:
        with server.lock:
            server.under_way -= 1
            server.busy_seconds += time.monotonic() - began


def wrong(server: Server, handler: BaseHTTPRequestHandler, asked: Asked, fault: Fault) -> None:
    """Answer as a fault says."""
    if fault.kind == "hang":
        server.stopping.wait(60)
        handler.close_connection = True
    elif fault.kind == "reset":
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
    elif fault.kind == "html":
        send(handler, Reply(200, HTML, {"Content-Type": "text/html; charset=utf-8"}))
    elif fault.kind == "empty":
        send(handler, Reply(200, b""))
    elif fault.kind == "status":
        send(handler, Reply(fault.status, fault.body, fault.headers))
    elif fault.kind == "body":
        send(handler, Reply(200, fault.body, fault.headers))
    else:
        right = server.answer(asked)
        half = len(right.body) // 2
        if fault.kind == "half":
            send(handler, Reply(right.status, right.body, right.headers, cut=half))
        elif fault.kind == "torn":
            send(handler, Reply(right.status, right.body[:half], right.headers))
        elif fault.kind == "drip":
            drip(server, handler, right)
        else:
            raise ValueError(f"no fault named {fault.kind!r}")


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Send a reply; one that is cut closes the connection after its part."""
    head(handler, reply)
    handler.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
    if reply.cut is not None:
        handler.close_connection = True


def drip(server: Server, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Send a reply byte by byte, so slowly that no single wait is long and the whole is."""
    head(handler, reply)
    for i in range(len(reply.body)):
        if server.stopping.wait(0.05):
            break
        handler.wfile.write(reply.body[i : i + 1])
    handler.close_connection = True


def head(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
