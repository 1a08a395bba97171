"""three sheep on small file systems that fill up: the client gets ENOSPC, all that was acknowledged is there, and it goes on when a volume is deleted"""

import errno
import random
import time

import nbd
from acceptance import MiB, check
from contents import connect
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 180
STORE_SIZE = 96 * MiB
SHEEP_OPTIONS = ("--io-timeout", "10")

CHUNK = 64 << 10
BALLAST = 32 * MiB
SIZE = 192 * MiB


def scenario(bed):
    bed.create("ballast", BALLAST)
    bed.create("volume", SIZE)
    handle = connect(bed.sheep[0], "ballast")
    for offset in range(0, BALLAST, 4 * MiB):
        handle.pwrite(random.randbytes(4 * MiB), offset)
    handle.flush()
    handle.shutdown()
    written = Written(bed)
    refused = written.fill()
    check(any("nearly full" in line for line in bed.information_warnings()), f"`dog cluster info` does not say that disks are full: {bed.information_warnings()}")
    written.verify(bed.sheep[0], "when the disks are full")
    written.verify(bed.sheep[2], "through another sheep when the disks are full")
    overwritten(written)
    killed_while_full(bed, written)
    space_again(bed, written, refused)


class Written:
    """What was acknowledged, by offset."""

    def __init__(self, bed):
        self.bed = bed
        self.random = random.Random(1)
        self.chunks = {}
        self.handle = connect(bed.sheep[0], "volume")

    def write(self, offset):
        data = self.random.randbytes(CHUNK)
        self.handle.pwrite(data, offset)
        self.chunks[offset] = data

    def fill(self):
        """Writes chunk after chunk until several were refused; returns where."""
        refused = []
        for offset in range(0, SIZE, CHUNK):
            try:
                self.write(offset)
            except nbd.Error as error:
                check(error.errnum == errno.ENOSPC, f"a full disk is told as {error}")
                refused.append(offset)
            if len(refused) == 40:
                break
        check(len(refused) == 40, "nothing was refused though the disks are smaller than the volume")
        check(len(self.chunks) * CHUNK > 16 * MiB, "nearly everything was refused")
        return refused

    def verify(self, sheep, when):
        handle = connect(sheep, "volume")
        for offset, data in self.chunks.items():
            check(bytes(handle.pread(CHUNK, offset)) == data, f"other bytes at {offset} {when}")
        handle.shutdown()


def overwritten(written):
    """What is there already needs no space."""
    for offset in list(written.chunks)[:64]:
        written.write(offset)
    written.handle.flush()


def killed_while_full(bed, written):
    """A sheep comes back on its full disk."""
    bed.sheep[1].kill()
    bed.cluster.wait_nodes(2)
    for offset in list(written.chunks)[64:96]:
        written.write(offset)
    bed.sheep[1].start()
    bed.sheep[1].wait_listening()
    bed.cluster.wait_recovered(60)
    written.verify(bed.sheep[1], "through a sheep that was killed while its disk was full")


def space_again(bed, written, refused):
    bed.dog("vdi", "delete", "ballast")

    def goes_on():
        try:
            written.write(refused[0])
            return True
        except nbd.Error as error:
            check(error.errnum == errno.ENOSPC, f"a full disk is told as {error}")
            return False

    wait_until(goes_on, "writes go on after a volume was deleted", 30, interval=0.5)
    time.sleep(1)
    for offset in refused[1:]:
        written.write(offset)
    written.handle.flush()
    for sheep in bed.sheep:
        written.verify(sheep, "after there was space again")
    bed.dog("vdi", "check", "volume")
