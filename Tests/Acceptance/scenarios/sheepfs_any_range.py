"""sheepfs: writes, reads, holes and growth at any offset and of any length, plain, by pages and by two mounts, with snapshots and a killed sheep between"""

import ctypes
import os
import random

import nbd
from acceptance import MiB, check
from sheepfs_mount import Sheepfs

SHEEP, COPIES, LIMIT = 3, 3, 300

SIZE, GROWN = 24 * MiB, 36 * MiB
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
LIBC = ctypes.CDLL(None, use_errno=True)


def scenario(bed):
    for name, options in (("plain", []), ("paged", ["-k"])):
        bed.create(name, SIZE)
        with Sheepfs(bed.directory, bed.sheep[0], "--auto-mount", *options, name=f"{name}-mount", by_socket=True) as fs:
            with Model(bed, name, [fs]) as model:
                model.work(3000 if bed.full else 500, seed=1)
                model.grow()
                model.work(3000 if bed.full else 300, seed=2)
    bed.create("shared", SIZE)
    with Sheepfs(bed.directory, bed.sheep[0], "--auto-mount", name="first-mount", by_socket=True) as first, \
            Sheepfs(bed.directory, bed.sheep[1], "--auto-mount", name="second-mount", by_socket=True) as second:
        with Model(bed, "shared", [first, second]) as model:
            model.work(3000 if bed.full else 400, seed=3)
            bed.dog("vdi", "snapshot", "-s", "tag", "shared")
            model.work(1000 if bed.full else 200, seed=4)
            # One of the mounts goes on through another sheep.
            bed.sheep[1].kill()
            model.work(1000 if bed.full else 200, seed=5)
            bed.sheep[1].start()
            bed.cluster.wait_recovered()
            model.work(1000 if bed.full else 200, seed=6)


class Model:
    """A volume that is used through mounts, and what it has to hold. As a context manager it is compared by NBD at the end."""

    def __init__(self, bed, name, mounts):
        (self.bed, self.name) = (bed, name)
        # What one mount wrote is for the other to see when the cluster has it: O_DIRECT waits for that.
        direct = os.O_DIRECT if len(mounts) > 1 else 0
        self.files = [os.open(fs.volume(name), os.O_RDWR | direct) for fs in mounts]
        self.holds = bytearray(SIZE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for file in self.files:
            if kind is None:
                os.fsync(file)
            os.close(file)
        if kind is None:
            self.compare()

    def compare(self):
        handle = nbd.NBD()
        handle.connect_uri(self.bed.sheep[2].unix(self.name))
        check(handle.get_size() == len(self.holds), f"{self.name} has {handle.get_size()} bytes")
        for start in range(0, len(self.holds), MiB):
            check(handle.pread(MiB, start) == self.holds[start:start + MiB], f"{self.name}: the MiB at {start} differs by NBD")
        handle.shutdown()

    def work(self, count, seed):
        self.chance = random.Random(seed)
        acts = [self.read] * 10 + [self.write] * 8 + [self.zero] * 2 + [self.sync]
        for number in range(count):
            act = self.chance.choice(acts)
            act(self.chance.choice(self.files), f"{self.name}, seed {seed}, number {number}")

    def some_range(self):
        """Around the sizes where something changes: blocks, pages, what the kernel sends at once, objects."""
        (size, chance) = (len(self.holds), self.chance)
        length = min(size, chance.choice([1, 511, 512, 4095, 4096, 4097, 65536, MiB - 1, MiB, chance.randrange(1, 3 * MiB)]))
        start = chance.randrange(size - length + 1)
        match chance.randrange(3):
            case 0: start -= start % 4096
            case 1: start = max(0, min(start - start % (4 * MiB) - chance.randrange(length + 1), size - length))
        return (start, length)

    def read(self, file, place):
        (start, length) = self.some_range()
        check(os.pread(file, length, start) == self.holds[start:start + length], f"{place}: {length} bytes at {start} differ")

    def write(self, file, place):
        (start, length) = self.some_range()
        data = self.chance.randbytes(length)
        check(os.pwrite(file, data, start) == length, f"{place}: of {length} bytes at {start} not all were written")
        self.holds[start:start + length] = data

    def zero(self, file, place):
        (start, length) = self.some_range()
        mode = KEEP_SIZE | self.chance.choice([PUNCH_HOLE, ZERO_RANGE])
        result = LIBC.fallocate(file, mode, ctypes.c_long(start), ctypes.c_long(length))
        check(result == 0, f"{place}: fallocate {mode} of {length} bytes at {start}: {os.strerror(ctypes.get_errno())}")
        self.holds[start:start + length] = bytes(length)

    def sync(self, file, _):
        os.fsync(file)

    def grow(self):
        os.truncate(self.files[0], GROWN)
        self.holds.extend(bytes(GROWN - len(self.holds)))
