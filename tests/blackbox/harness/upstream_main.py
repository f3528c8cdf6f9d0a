"""upstream_main.py -- a small HTTP/1.1 server, run as a process of its own by upstream.py.

Every request that arrives whole is one line in its log: `ID METHOD PATH STATUS`, written before
the answer.  Paths: /status/503, /bytes/1048576, /slow/250 (milliseconds), /echo (the body back),
/headers (the request's head back), /tunnel (101 to an Upgrade, then every byte back), anything else
`NAME\\n`.  POST /_mode/503 makes all later answers 503 (200 is normal), POST /_mode/hang makes it answer nothing any more, POST /_mode/reset
makes it reset each connection, POST /_mode/lag-20 lets each take its time: exponential, 99 of 100 within 20 ms.
POST /_mode/silent makes it close each connection a moment after its answer, without having said
so.  GET /_most tells how many requests it had at once at most.
On SIGTERM it ends gracefully: it listens no more, answers what it has, and says that it closes.
"""

import asyncio
import random
import signal
import socket
import struct
import sys
from urllib.parse import urlsplit

NAME, PORT, LOG = sys.argv[1], int(sys.argv[2]), sys.argv[3]


class Server:
    def __init__(self):
        self.mode = "200"
        self.log = open(LOG, "ab", buffering=0)
        self.writers = set()
        self.now = self.most = 0
        self.ending = False

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while await self.answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def read_body(self, reader, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
                body += (await reader.readexactly(size + 2))[:-2]
                if size == 0:
                    return body
        return await reader.readexactly(int(headers.get("content-length", "0")))

    async def answer(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await self.read_body(reader, headers)
        path = urlsplit(target).path
        if path.startswith("/_mode/"):
            self.mode = path.split("/")[2]
            return await self.send(writer, method, 200, b"ok\n", headers)
        if path == "/_most":
            return await self.send(writer, method, 200, f"{self.most}\n".encode(), headers)
        if path == "/tunnel" and "upgrade" in headers:
            return await self.tunnel(reader, writer, headers)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await self.execute(writer, method, path, head, headers, body)
        finally:
            self.now -= 1

    async def execute(self, writer, method, path, head, headers, body):
        if self.mode == "hang":
            await asyncio.sleep(3600)
        if self.mode == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if self.mode.startswith("lag-"):
            await asyncio.sleep(random.expovariate(1) * float(self.mode[4:]) / 4605)
        silent = self.mode == "silent"
        status = int(self.mode) if self.mode.isdigit() else 200
        payload = f"{NAME}\n".encode()
        parts = path.split("/")
        if parts[1] == "status":
            status = int(parts[2])
        elif parts[1] == "bytes":
            payload = b"x" * int(parts[2])
        elif parts[1] == "slow":
            await asyncio.sleep(int(parts[2]) / 1000)
        elif parts[1] == "echo":
            payload = body
        elif parts[1] == "headers":
            payload = head
        request_id = headers.get("x-test-id", "-")
        self.log.write(f"{request_id} {method} {path} {status}\n".encode())
        if silent:
            asyncio.get_running_loop().call_later(random.uniform(0, 0.3), writer.close)
        return await self.send(writer, method, status, payload, headers)

    async def tunnel(self, reader, writer, headers):
        writer.write(("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\n"
                      f"Upgrade: {headers['upgrade']}\r\n\r\n").encode())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        return False

    async def send(self, writer, method, status, payload, headers):
        close = self.ending or headers.get("connection", "").lower() == "close"
        writer.write((f"HTTP/1.1 {status} Status\r\nContent-Length: {len(payload)}\r\n"
                      f"X-Server: {NAME}\r\n" + ("Connection: close\r\n" if close else "") +
                      "\r\n").encode())
        if method != "HEAD":
            writer.write(payload)
        await writer.drain()
        return not close


async def main():
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", PORT, backlog=1024,
                                           limit=1024 * 1024)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with listening:
        await ended.wait()
    server.ending = True
    while server.now > 0:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # what is on its way is still answered


asyncio.run(main())
