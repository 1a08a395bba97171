"""A client that knows what was acknowledged to it."""

import random

import nbd

BLOCK = 4096
DEPTH = 16


class Journal:
    """Writes numbered blocks and remembers, for each, the last number acknowledged and those still in doubt after it.

    A block never has two writes in flight, so after the acknowledgement of N its content is N; after a broken connection it
    may also be the one write that was never answered.
    """

    def __init__(self, size, seed=1):
        self.random = random.Random(seed)
        # The last block is left to others.
        self.blocks = size // BLOCK - 1
        self.settled = {}
        self.doubtful = {}
        self.next_number = 1
        self.acknowledged = 0

    @staticmethod
    def content(number):
        """Every 512-byte sector carries the number, so that a torn block shows."""
        return number.to_bytes(8, "little") * (BLOCK // 8)

    def write(self, handle, until):
        """Keeps 16 writes in flight until told to stop, or until the connection breaks."""
        in_flight = {}
        try:
            while in_flight or not until():
                while len(in_flight) < DEPTH and not until():
                    self._send(handle, in_flight)
                handle.poll(100)
                self._collect(handle, in_flight)
        except nbd.Error:
            pass  # the sheep is gone; what was in flight stays in doubt

    def _send(self, handle, in_flight):
        busy = {block for block, _ in in_flight.values()}
        block = self.random.randrange(self.blocks)
        while block in busy:
            block = self.random.randrange(self.blocks)
        number, self.next_number = self.next_number, self.next_number + 1
        self.doubtful.setdefault(block, set()).add(number)
        buffer = nbd.Buffer.from_bytearray(bytearray(self.content(number)))
        in_flight[handle.aio_pwrite(buffer, block * BLOCK)] = (block, number)

    def _collect(self, handle, in_flight):
        for cookie in list(in_flight):
            if handle.aio_command_completed(cookie):
                block, number = in_flight.pop(cookie)
                self.settled[block] = number
                self.doubtful.pop(block)
                self.acknowledged += 1

    def verify(self, handle):
        """Reads every block ever written. A block in doubt is settled by what it holds now."""
        for block in sorted(self.settled.keys() | self.doubtful.keys()):
            found = bytes(handle.pread(BLOCK, block * BLOCK))
            allowed = {self.settled.get(block, 0)} | self.doubtful.pop(block, set())
            match = next((number for number in allowed if found == self.content(number)), None)
            if match is None:
                raise AssertionError(
                    f"block {block} begins with {int.from_bytes(found[:8], 'little')}, but one of {sorted(allowed)} was to be there, whole")
            self.settled[block] = match
