"""raw.py -- a client that sends exactly the bytes it is given."""

import os
import socket
import time


# Seconds; whoever asks for Valgrind (harness/crossfade.py) has time.
PATIENCE = 180.0 if os.environ.get("CROSSFADE_VALGRIND") else 10.0


class Answer:
    def __init__(self, status, headers, body, head):
        self.status, self.headers, self.body, self.head = status, headers, body, head

    def header(self, name, default=None):
        """The first such header's value."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def closes(self):
        return (self.header("Connection") or "").lower() == "close"


class Closed(Exception):
    """The other side closed (or reset) before an answer was whole."""


class Raw:
    """One connection."""

    def __init__(self, port, host="127.0.0.1", timeout=PATIENCE, unix=None):
        if unix is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(str(unix))
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def get(self, path="/", headers=(), method="GET", body=b"", host="test"):
        """Sends one well-formed request and reads its answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.read(method)

    def fill(self):
        try:
            data = self.socket.recv(262144)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of file")
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.fill()
        before, self.buffer = self.buffer.split(mark, 1)
        return before

    def exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self):
        """Everything up to the end of file."""
        try:
            while True:
                self.fill()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def read_head(self):
        head = self.until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "")
                   for line in lines[1:]]
        return int(lines[0].split(" ")[1]), headers, head

    def read(self, method="GET"):
        """Reads one final answer whole."""
        status, headers, head = self.read_head()
        while 100 <= status < 200 and status != 101:
            status, headers, head = self.read_head()
        answer = Answer(status, headers, b"", head)
        if method == "HEAD" or status in (101, 204, 304):
            return answer
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            answer.body = self.read_chunked()
        elif answer.header("Content-Length") is not None:
            answer.body = self.exactly(int(answer.header("Content-Length")))
        else:
            answer.body = self.rest()
        return answer

    def read_chunked(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self.until(b"\r\n") != b"":
                    pass
                return body
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"

    def at_end(self, timeout=1.0):
        """Whether the other side closes within the time (without sending anything more)."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except (TimeoutError, socket.timeout):
            return False
        except ConnectionError:
            return True


def request(port, path="/", **options):
    """One request on a connection of its own."""
    with Raw(port) as connection:
        return connection.get(path, **options)


def now():
    return time.monotonic()
