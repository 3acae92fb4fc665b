"""A network between two programs of this machine, for benchmarks: a TCP proxy with latency and bandwidth.

    benches/shaper.py TARGET-PORT --rtt MS --mbit ALL [--each-mbit ONE]      prints the port it listens on

A connection costs one round trip before its first byte, and every byte half of one. ALL is shared by all connections in
each direction, ONE is what a single connection gets at most. TCP's slow start is not imitated. SIGUSR1 prints
connections and bytes since the last time.
"""

import argparse
import asyncio
import collections
import contextlib
import signal

# How much of a wire's time may be taken ahead before a sender is stopped: a router's queue.
QUEUE = 0.05


class Wire:
    """One direction of the line, which all connections share."""

    def __init__(self, rate):
        self.rate, self.free, self.bytes = rate, 0.0, 0

    def take(self, now, size):
        """When so many bytes are through."""
        self.bytes += size
        self.free = max(now, self.free) + size / self.rate
        return self.free


class Half(asyncio.Protocol):
    """One end of a connection: what arrives here leaves at the other end, later."""

    def __init__(self, wire, each, delay):
        self.wire, self.each, self.delay = wire, each, delay
        self.loop = asyncio.get_running_loop()
        self.own, self.waiting, self.timer = 0.0, collections.deque(), None
        self.transport = self.other = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        now = self.loop.time()
        through = self.wire.take(now, len(data))
        if self.each:
            through = max(through, max(now, self.own) + len(data) / self.each)
        self.own = through
        self.later(through + self.delay, data)
        if (ahead := through - now - QUEUE) > 0:
            self.transport.pause_reading()
            self.loop.call_later(ahead, self.resume)

    def resume(self):
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def eof_received(self):
        self.later(max(self.loop.time(), self.own) + self.delay, None)
        return True

    def later(self, at, data):
        self.waiting.append((at, data))
        if self.timer is None:
            self.timer = self.loop.call_at(at, self.deliver)

    def deliver(self):
        now, self.timer = self.loop.time() + 0.0005, None
        pieces, ends = [], False
        while self.waiting and self.waiting[0][0] <= now:
            data = self.waiting.popleft()[1]
            ends = ends or data is None
            if data is not None:
                pieces.append(data)
        to = self.other.transport if self.other else None
        if to and not to.is_closing():
            if pieces:
                to.write(b"".join(pieces))
            if ends:
                with contextlib.suppress(OSError):
                    to.write_eof()
        if self.waiting:
            self.timer = self.loop.call_at(self.waiting[0][0], self.deliver)

    def connection_lost(self, error):
        if self.other and self.other.transport and not self.waiting:
            # What is on its way still arrives.
            self.loop.call_later(self.delay, self.other.transport.close)


class Shaper:
    def __init__(self, target, options):
        self.target, self.delay = target, options.rtt / 2000
        self.up, self.down = Wire(options.mbit * 125_000), Wire(options.mbit * 125_000)
        self.each, self.connections = options.each_mbit * 125_000, 0

    def half(self):
        self.connections += 1
        near = Half(self.up, self.each, self.delay)
        asyncio.get_running_loop().create_task(self.connect(near))
        return near

    async def connect(self, near):
        await asyncio.sleep(0)
        near.transport.pause_reading()
        await asyncio.sleep(2 * self.delay)
        far = Half(self.down, self.each, self.delay)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", self.target)
        except OSError:
            return near.transport.close()
        near.other, far.other = far, near
        near.resume()

    def report(self):
        print(f"{self.connections} connections, {self.up.bytes} bytes up, {self.down.bytes} bytes down", flush=True)
        self.connections = self.up.bytes = self.down.bytes = 0


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("target", type=int)
    arguments.add_argument("--rtt", type=float, default=50)
    arguments.add_argument("--mbit", type=float, default=400)
    arguments.add_argument("--each-mbit", type=float, default=0)
    options = arguments.parse_args()
    shaper = Shaper(options.target, options)
    server = await asyncio.get_running_loop().create_server(shaper.half, "127.0.0.1", 0, backlog=1024)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, shaper.report)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
