"""fault.py -- a TCP proxy between two parts of a test that can be told to fail.

Modes: `pass`; `refuse` (no listener); `reset` (each connection ends with a reset); `blackhole` (accepts, passes
nothing); `deaf` (what the client says arrives, the server's answers are lost); `slow` (answers come late); and
`says(bytes)`: the proxy itself answers whatever it is sent with these bytes.  A change of mode closes what is open,
but for `blackhole` and `deaf`, which take effect on open connections.
"""

import asyncio
import socket
import struct
import threading

from . import net

KEEPS_OPEN = {"blackhole", "deaf", "slow"}


class Fault:
    """Listens on `port` of 127.0.0.1 and passes connections on to `target`, a port."""

    def __init__(self, target):
        self.target = target
        self.port = net.free_port()
        self.mode, self.text, self.delay = "pass", b"", 0.0
        self.server, self.open = None, set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.do(self.listen())

    def do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(10)

    def set(self, mode, delay=0.0):
        self.do(self.change(mode, b"", delay))

    def says(self, text):
        self.do(self.change("says", text, 0.0))

    def end(self):
        self.do(self.change("refuse", b"", 0.0))
        self.do(self.settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    @staticmethod
    async def settle():
        others = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=3)

    async def change(self, mode, text, delay):
        self.mode, self.text, self.delay = mode, text, delay
        if mode == "refuse" and self.server is not None:
            self.server.close()
            self.server = None
        if mode not in KEEPS_OPEN:
            for writer in list(self.open):
                self.cut(writer)
        if mode != "refuse" and self.server is None:
            await self.listen()

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    @staticmethod
    def cut(writer):
        raw = writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def serve(self, reader, writer):
        self.open.add(writer)
        upstream = None
        try:
            if self.mode == "reset":
                self.cut(writer)
                return
            if self.mode == "says":
                while await reader.read(65536):
                    writer.write(self.text)
                    await writer.drain()
                return
            upstream = await asyncio.open_connection("127.0.0.1", self.target)
            self.open.add(upstream[1])
            await asyncio.gather(self.copy(reader, upstream[1], False), self.copy(upstream[0], writer, True))
        except OSError:
            pass
        finally:
            for each in (writer, upstream[1] if upstream else None):
                if each is not None:
                    self.open.discard(each)
                    self.cut(each)

    async def copy(self, reader, writer, answers):
        try:
            while True:
                data = await reader.read(65536)
                if not data:
                    break
                if self.mode == "slow" and answers:
                    await asyncio.sleep(self.delay)
                if self.mode == "blackhole" or (self.mode == "deaf" and answers):
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.cut(writer)
