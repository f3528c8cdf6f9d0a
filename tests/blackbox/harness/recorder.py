"""recorder.py -- an upstream that records every byte and answers as it is told.

A request for a path that was scripted gets the scripted bytes; every other one a 200 whose body
names method and target.  What is not strictly valid HTTP is recorded as a violation.
"""

import socket
import threading
import time

from . import strict


class Script:
    """Bytes to answer with, in pieces; `close`: then close the connection.

    `poison`: the connection must not be used again; a further byte on it is a violation.
    `early`: answer when the head is there.  `tunnel`: what then comes is sent back as it is.
    """

    def __init__(self, *pieces, close=False, poison=False, early=False, tunnel=False,
                 pause=0.02):
        self.pieces, self.close, self.poison = pieces, close, poison
        self.early, self.tunnel, self.pause = early, tunnel, pause
        self.sent = threading.Event()  # all pieces were sent at least once


class Recorder:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.scripts = {}
        self.requests, self.violations = [], []
        self.partial = {}
        self.raw = b""
        self.open = set()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def end(self):
        # shutdown() wakes accept(); close() alone would not.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        with self.lock:
            left = list(self.open)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(5)

    def script(self, path, script):
        with self.lock:
            self.scripts[path] = script

    def take(self):
        """(requests, violations, partial bytes, raw bytes) since the last call."""
        with self.lock:
            taken = (self.requests, self.violations,
                     [part for part in self.partial.values() if part], self.raw)
            self.requests, self.violations, self.raw = [], [], b""
            self.partial = {}
            return taken

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.converse(connection)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def converse(self, connection):
        data, poisoned, continued = b"", False, False
        while True:
            got = connection.recv(65536)
            if not got:
                return
            data += got
            if not continued and b"\r\n\r\n" in data and b"expect: 100-continue" in data.lower():
                continued = True
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            with self.lock:
                self.raw += got
                if poisoned:
                    self.violations.append(f"a poisoned connection was used again: {got[:200]!r}")
                    return
            while data:
                data, script = self.take_request(connection, data)
                if script == "more":
                    break
                if script is None:
                    return
                poisoned = script.poison
                if self.answer(connection, script):
                    return
                if script.tunnel:
                    self.echo(connection, data)
                    return

    def take_request(self, connection, data):
        """(what is left, the script to answer with); "more" or None instead of a script."""
        try:
            message, length = strict.read_request(data)
        except strict.Incomplete:
            head = data.partition(b"\r\n\r\n")
            script = self.early_script(head[0]) if head[1] else None
            with self.lock:
                if script is not None:
                    self.requests.append(self.head_only(head[0]))
                    self.partial.pop(connection, None)
                    return b"", script
                self.partial[connection] = data
            return data, "more"
        except strict.Malformed as error:
            with self.lock:
                self.violations.append(f"{error}, in {data[:600]!r}")
                self.partial.pop(connection, None)
            return b"", None
        with self.lock:
            self.requests.append(message)
            self.partial.pop(connection, None)
            script = self.scripts.get(message.target)
        if script is None:
            body = f"{message.method} {message.target}".encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            script = Script(head + (b"" if message.method == "HEAD" else body))
        return data[length:], script

    @staticmethod
    def head_only(head):
        start, fields, _ = strict.read_head(head + b"\r\n\r\n", strict.REQUEST_LINE)
        return strict.Message((start.group(1).decode(), start.group(2).decode(),
                               "1." + start.group(3).decode()), fields)

    def early_script(self, head):
        """A script that answers before the body has come."""
        parts = head.split(b" ", 2)
        script = self.scripts.get(parts[1].decode("latin-1")) if len(parts) == 3 else None
        return script if script is not None and script.early else None

    @staticmethod
    def echo(connection, data):
        data = data or connection.recv(65536)
        while data:
            connection.sendall(data)
            data = connection.recv(65536)

    @staticmethod
    def answer(connection, script):
        """Sends the pieces; True if the connection is to be closed."""
        for index, piece in enumerate(script.pieces):
            if index > 0:
                time.sleep(script.pause)
            connection.sendall(piece)
        script.sent.set()
        return script.close
