"""A mail server that does next to nothing, late: it takes every letter and forgets it.

`python -m tests.benchmarks.slow SECONDS` prints its port. Each reply leaves SECONDS after its command came, and the
replies to commands that came together leave together (RFC 2920). `tests.sink` checks and logs what it is sent, and so
takes from the machine what the measured side would need.
"""

import asyncio
import sys

END = b"\r\n.\r\n"
REPLIES = {b"EHLO": b"250-slow.example.org\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n", b"DATA": b"354 Go on\r\n",
           b"QUIT": b"221 Bye\r\n"}  # fmt: skip


class Conversation(asyncio.Protocol):
    def __init__(self, latency):
        self.latency, self.loop = latency, asyncio.get_running_loop()
        self.is_content, self.buffer = False, b""

    def connection_made(self, transport):
        self.transport = transport
        self._reply(b"220 slow.example.org ESMTP\r\n")

    def data_received(self, data):
        self.buffer += data
        replies = b""
        while True:
            end = END if self.is_content else b"\r\n"
            place = self.buffer.find(end)
            if place < 0:
                break
            line, self.buffer = self.buffer[:place], self.buffer[place + len(end) :]
            replies += b"250 Ok\r\n" if self.is_content else REPLIES.get(line[:4].upper(), b"250 Ok\r\n")
            self.is_content = not self.is_content and line[:4].upper() == b"DATA"
        if self.is_content:  # what is left can hold no more than the beginning of the end
            self.buffer = self.buffer[1 - len(END) :]
        if replies:
            self._reply(replies)

    def _reply(self, replies):
        self.loop.call_later(self.latency, self.transport.write, replies)


async def serve(latency):
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(latency), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
