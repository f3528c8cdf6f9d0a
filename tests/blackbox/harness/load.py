"""load.py -- a client that sends requests at a rate and records what became of every one.

Each request has an id (`X-Test-Id`), so its result can be compared with the servers' own logs.
It runs on a thread of its own with its own loop.
"""

import asyncio
import random
import threading
import time
from collections import Counter


class Result:
    """status is 0 where there was no whole answer; then error says why."""

    __slots__ = ("id", "began", "ended", "status", "error", "server", "local_port", "reused")

    def __init__(self, request_id):
        self.id = request_id
        self.began, self.ended = time.monotonic(), 0.0
        self.status, self.error, self.server = 0, None, None
        self.local_port, self.reused = 0, False

    @property
    def good(self):
        return self.status == 200

    def __repr__(self):
        return (f"<{self.id} {self.status or self.error!r} by {self.server}, "
                f"{(self.ended - self.began) * 1000:.0f} ms, port {self.local_port}"
                f"{', reused' if self.reused else ''}>")


class Load:
    """with Load(port, rate=1000) as load: ... ; load.results afterwards.

    rate: requests a second over all connections (None: as fast as answers come).
    path: one, or a list of which each request draws one.
    fresh: every request on a connection of its own; else keep-alive.
    A keep-alive connection that the server closes between requests is opened anew, as clients do;
    a request that fails on a connection where it was not the first counts as failed all the same.
    """

    def __init__(self, port, rate=500, connections=8, path="/", fresh=False, method="GET",
                 timeout=10.0, prefix="r", headers=()):
        self.port, self.rate, self.path, self.method = port, rate, path, method
        self.connections, self.fresh, self.timeout = connections, fresh, timeout
        self.prefix, self.headers = prefix, headers
        self.results = []
        self.sent = 0
        self.stopping = False
        self.thread = None

    def __enter__(self):
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping = True
        self.thread.join(self.timeout + 10)
        assert not self.thread.is_alive(), "the load generator does not end"

    # What tests ask.

    def failed(self):
        return [each for each in self.results if not each.good]

    def statuses(self):
        return Counter(each.status for each in self.results)

    def servers(self):
        return Counter(each.server for each in self.results if each.good)

    def since(self, moment):
        return [each for each in self.results if each.began >= moment]

    # The loop.

    async def run(self):
        await asyncio.gather(*(self.client(index) for index in range(self.connections)))

    async def client(self, index):
        connection = None
        gap = self.connections / self.rate if self.rate else 0
        due = time.monotonic() + (gap * index / self.connections)
        while not self.stopping:
            if gap:
                await asyncio.sleep(max(0, due - time.monotonic()))
                due = max(due + gap, time.monotonic() - 1)
            connection = await self.one(connection)
        if connection is not None:
            connection[1].close()

    async def one(self, connection):
        self.sent += 1
        result = Result(f"{self.prefix}{self.sent}")
        result.reused = connection is not None
        try:
            connection = await asyncio.wait_for(self.exchange(connection, result), self.timeout)
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.TimeoutError) as error:
            result.status, result.error = 0, f"{type(error).__name__}: {error}"
            if result.reused:
                connection[1].close()
            connection = None
        result.ended = time.monotonic()
        self.results.append(result)
        return connection

    async def exchange(self, connection, result):
        if connection is not None and connection[0].at_eof():
            connection[1].close()
            connection, result.reused = None, False
        if connection is None:
            connection = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = connection
        result.local_port = writer.get_extra_info("sockname")[1]
        try:
            return await self.converse(reader, writer, result)
        except BaseException:
            writer.close()
            raise

    async def converse(self, reader, writer, result):
        path = self.path if isinstance(self.path, str) else random.choice(self.path)
        lines = [f"{self.method} {path} HTTP/1.1", "Host: test", f"X-Test-Id: {result.id}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.fresh:
            lines.append("Connection: close")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = {}
        for line in head.split("\r\n")[1:-2]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        await reader.readexactly(int(fields.get("content-length", "0")))
        result.server = fields.get("x-server")
        result.status = int(head.split(" ")[1])
        if self.fresh or fields.get("connection", "").lower() == "close":
            writer.close()
            return None
        return reader, writer
