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


class FlushedJournal:
    """As `Journal`, and it knows what was durable: after a power cut a block may show what its last flush had, or anything younger.

    Writes of up to 64 KiB, durable ones (FUA), zeros and flushes, 16 in flight, no two of them on one block.
    """

    def __init__(self, size, seed=1):
        self.random = random.Random(seed)
        self.count = size // BLOCK
        # Of each block what it may show, oldest first: (number, when it was acknowledged, or None). 0 is a block of zeros.
        self.versions = [[(0, 0)] for _ in range(self.count)]
        # Blocks of which no flush made the last version durable.
        self.changed = set()
        self.time = 0
        self.next_number = 1
        # For as many writes at once: libnbd 1.14 never lets go of what it was given, so it is given the same memory again.
        self.memory = [memoryview(bytearray(16 * BLOCK)) for _ in range(DEPTH)]
        self.free = []
        # Blocks that showed an older version than the last acknowledged one, as only a power cut can make them.
        self.acknowledged = self.flushed = self.reverted = 0

    def write(self, handle, until):
        """Until told to stop, or until the connection breaks; returns its error, or nothing."""
        in_flight = {}
        self.free = list(self.memory)
        try:
            while in_flight or not until():
                while len(in_flight) < DEPTH and not until():
                    self._send(handle, in_flight)
                handle.poll(100)
                for cookie in list(in_flight):
                    if handle.aio_command_completed(cookie):
                        self._done(*in_flight.pop(cookie))
        except nbd.Error as error:
            return error
        return None

    def _send(self, handle, in_flight):
        if self.random.random() < 0.03:
            in_flight[handle.aio_flush()] = ("flush", range(0), self.time, None)
            return
        busy = {block for _, blocks, *_ in in_flight.values() for block in blocks}
        blocks = self._choose()
        while not busy.isdisjoint(blocks):
            blocks = self._choose()
        number = 0 if self.random.random() < 0.05 else self.next_number
        self.next_number += 1
        is_durable = self.random.random() < 0.1
        for block in blocks:
            self.versions[block].append((number, None))
        flags = nbd.CMD_FLAG_FUA if is_durable else 0
        (offset, length, buffer) = (blocks.start * BLOCK, len(blocks) * BLOCK, None)
        if number == 0:
            cookie = handle.aio_zero(length, offset, flags=flags)
        else:
            buffer = self.free.pop()
            buffer[:length] = Journal.content(number) * len(blocks)
            cookie = handle.aio_pwrite(nbd.Buffer.from_buffer(buffer[:length]), offset, flags=flags)
        in_flight[cookie] = ("durable" if is_durable else "write", blocks, number, buffer)

    def _choose(self):
        count = self.random.choice((1, 1, 1, 2, 4, 16))
        first = self.random.randrange(self.count - count + 1)
        return range(first, first + count)

    def _done(self, kind, blocks, number, buffer):
        self.time += 1
        if buffer is not None:
            self.free.append(buffer)
        if kind == "flush":
            self._flushed(begun=number)
            return
        self.acknowledged += 1
        for block in blocks:
            # No two writes of a block are under way at once.
            self.versions[block][-1] = (number, self.time)
            self.changed.add(block)
            if kind == "durable":
                self._durable(block, until=self.time)

    def _flushed(self, begun):
        """What was acknowledged when the flush was sent is durable."""
        self.flushed += 1
        for block in list(self.changed):
            self._durable(block, until=begun)

    def _durable(self, block, until):
        """What stood there by then, or anything younger, stays."""
        versions = self.versions[block]
        last = max(place for place, (_, when) in enumerate(versions) if when is not None and (when <= until or place == 0))
        del versions[:last]
        if len(versions) == 1:
            self.changed.discard(block)

    def _acknowledged(self, block):
        """Where in the block's versions the last acknowledged one is."""
        return max(place for place, (_, when) in enumerate(self.versions[block]) if when is not None)

    def verify(self, handle, power_was_lost):
        """Reads every block; what it shows is durable from then on."""
        for block in range(self.count):
            found = bytes(handle.pread(BLOCK, block * BLOCK))
            last = self._acknowledged(block)
            allowed = [number for number, _ in self.versions[block][0 if power_was_lost else last:]]
            match = next((number for number in allowed if found == Journal.content(number)), None)
            if match is None:
                raise AssertionError(
                    f"block {block} begins with {int.from_bytes(found[:8], 'little')}, but one of {allowed} was to be there, whole")
            if match not in [number for number, _ in self.versions[block][last:]]:
                self.reverted += 1
            self.versions[block] = [(match, 0)]
        self.changed.clear()
        handle.flush()
