"""iSCSI through tgt: patterns, other doors, snapshots, two paths, a sheep and a tgtd killed under load"""

import random
import subprocess
import threading

from acceptance import MiB, VerifyingLoad, check
from tgt import Tgt, tcp_store, unix_store
from waiting import wait_until

SHEEP, COPIES, SHORT_PORTS, LIMIT = 3, 3, True, 400


def scenario(bed):
    tgt = Tgt(bed)
    patterns(bed, tgt)
    snapshots_underneath(bed, tgt)
    verifying_load(bed, tgt)
    sheep_killed(bed, tgt)
    path_killed(bed)


def patterns(bed, tgt):
    bed.create("patterns", 64 * MiB)
    by_unix = tgt.export("unix", unix_store(bed.sheep[0], "patterns"))
    by_tcp = tgt.export("tcp", tcp_store(bed.sheep[1], "patterns"))
    listing = bed.run("iscsi-ls", "-s", f"iscsi://127.0.0.1:{tgt.port}")
    check("org.sheepdog:unix" in listing and "DIRECT_ACCESS" in listing, f"iscsi-ls says {listing}")
    bed.qemu_io(by_unix, "read -P 0 0 64M")
    writes = [(0x11, 0, 512), (0x22, 4 * MiB - 512, 1024), (0x33, 7 * MiB + 1536, 9 * MiB), (0x44, 63 * MiB, MiB)]
    bed.qemu_io(by_unix, *(f"write -P {byte:#x} {start} {length}" for byte, start, length in writes), "flush")
    for uri in (by_tcp, by_unix, bed.sheep[2].tcp("patterns")):
        bed.qemu_io(uri, *(f"read -P {byte:#x} {start} {length}" for byte, start, length in writes))
        bed.qemu_io(uri, f"read -P 0 512 {4 * MiB - 1024}", "read -P 0 20M 40M")
    # What is written at one door is there at the others at once, and space comes back where a door has a discard.
    bed.qemu_io(bed.sheep[2].tcp("patterns"), "write -P 0x55 9M 4k", "discard 12M 4M")
    bed.qemu_io(by_unix, "read -P 0x55 9M 4k", "read -P 0 12M 4M", "write -P 0x66 9M 512")
    bed.qemu_io(by_tcp, "read -P 0x66 9M 512", f"read -P 0x55 {9 * MiB + 512} 512")
    images_are_equal(bed, by_unix, bed.sheep[1].unix("patterns"))


def images_are_equal(bed, one, other):
    bed.run("qemu-img", "compare", "-f", "raw", "-F", "raw", one, other)


def snapshots_underneath(bed, tgt):
    bed.create("moving", 32 * MiB)
    first = tgt.export("moving1", unix_store(bed.sheep[0], "moving"))
    second = tgt.export("moving2", tcp_store(bed.sheep[1], "moving"))
    bed.qemu_io(first, "write -P 1 0 8M")
    bed.qemu_io(second, "read -P 1 0 8M")
    bed.dog("vdi", "snapshot", "-s", "before", "moving")
    bed.qemu_io(first, "write -P 2 1M 2M", "read -P 1 0 1M")
    bed.qemu_io(second, "read -P 2 1M 2M", "read -P 1 3M 5M", "write -P 3 5M 64k")
    bed.qemu_io(first, "read -P 3 5M 64k")
    bed.run("qemu-io", "-r", "-f", "raw", bed.sheep[2].tcp("moving@before"), "-c", "read -P 1 0 8M")
    # A snapshot that came and went while tgt did nothing.
    bed.dog("vdi", "snapshot", "-s", "short", "moving")
    bed.dog("vdi", "delete", "-s", "short", "moving")
    bed.qemu_io(first, "read -P 3 5M 64k", "read -P 1 6M 2M")
    bed.qemu_io(second, "write -P 3 5M 64k")
    bed.dog("vdi", "rollback", "-f", "-s", "before", "moving")
    bed.qemu_io(second, "read -P 1 0 8M", "write -P 4 2M 4k")
    bed.qemu_io(first, "read -P 4 2M 4k", "read -P 0 8M 24M")
    bed.dog("vdi", "resize", "moving", str(64 * MiB))
    bed.qemu_io(tgt.export("moving3", unix_store(bed.sheep[2], "moving")), "write -P 5 40M 1M", "read -P 4 2M 4k")


def verifying_load(bed, tgt):
    """fio over iSCSI, 16 requests at a time, by way of a qemu-nbd that is the initiator; the sheep is killed in the middle."""
    bed.create("verified", 64 * MiB)
    uri = tgt.export("verified", unix_store(bed.sheep[0], "verified"))
    socket = bed.directory / "qemu-nbd.sock"
    initiator = bed.start("qemu-nbd", "-f", "raw", "-t", "-k", socket, uri, output="qemu-nbd.log")
    wait_until(socket.exists, "qemu-nbd listens")
    load = VerifyingLoad(bed, f"nbd+unix:///?socket={socket}", 60 if bed.full else 15, 64 * MiB, name="verified")
    wait_until(lambda: bed.cluster.volume("verified").used >= 32 * MiB, "the load writes", 60, interval=0.2)
    bed.sheep[0].kill()
    bed.sheep[0].start()
    bed.sheep[0].wait_listening()
    load.finish()
    bed.cluster.wait_recovered()
    initiator.terminate()
    initiator.wait(30)
    images_are_equal(bed, uri, bed.sheep[2].unix("verified"))
    bed.dog("vdi", "check", "verified")


class Writer(threading.Thread):
    """Writes numbered blocks one after the other through a path, and again through the other when that is gone."""

    SIZE = 16 * MiB

    def __init__(self, bed, uris, writes, seed):
        super().__init__()
        self.bed, self.uris, self.writes = bed, list(uris), writes
        self.random = random.Random(seed)
        self.blocks = {}
        self.acknowledged = 0
        self.failure = None

    def run(self):
        try:
            while self.acknowledged < self.writes:
                self._write_some()
        except Exception as error:  # told by the scenario, which waits for this thread
            self.failure = error

    def _write_some(self):
        """Each qemu-io writes a few blocks; one that ends badly tells how far it came, and the rest is written again."""
        # Where there is another path an initiator gives one up that does not answer; libiscsi itself would try for ever.
        patience = 120 if len(self.uris) == 1 else 10
        batch = [(self.random.randrange(1, 255), self.random.randrange(self.SIZE // 4096)) for _ in range(40)]
        while batch:
            commands = [word for byte, block in batch for word in ("-c", f"write -P {byte} {block * 4096} 4096")]
            result = subprocess.run(
                ["timeout", "-s", "KILL", str(patience), "qemu-io", "-f", "raw", self.uris[0], *commands],
                stdin=subprocess.DEVNULL, capture_output=True, text=True)
            done = result.stdout.count("wrote 4096/4096")
            for byte, block in batch[:done]:
                self.blocks[block] = byte
            self.acknowledged += done
            batch = batch[done:]
            if batch:
                check(len(self.uris) > 1, f"a write failed and there is no other path: {result.stdout[-500:]}{result.stderr[-500:]}")
                self.uris.append(self.uris.pop(0))

    def wait_for(self, count):
        wait_until(lambda: self.acknowledged >= count or self.failure, f"{count} writes are acknowledged", 120)

    def finish(self):
        self.join(180)
        check(not self.is_alive(), "the writer did not come to its end")
        if self.failure:
            raise self.failure

    def verify(self, uri):
        items = sorted(self.blocks.items())
        for start in range(0, len(items), 500):
            self.bed.qemu_io(uri, *(f"read -P {byte} {block * 4096} 4096" for block, byte in items[start:start + 500]))


def sheep_killed(bed, tgt):
    """tgt waits for the sheep that it uses; when that is there again the load goes on, without an error."""
    bed.create("killed", Writer.SIZE)
    writer = Writer(bed, [tgt.export("killed", unix_store(bed.sheep[0], "killed"))], 2400 if bed.full else 800, seed=1)
    writer.start()
    writer.wait_for(200)
    bed.sheep[0].kill()
    bed.sheep[0].start()
    bed.sheep[0].wait_listening()
    writer.finish()
    bed.cluster.wait_recovered()
    for uri in (*writer.uris, bed.sheep[1].unix("killed"), bed.sheep[2].unix("killed")):
        writer.verify(uri)
    bed.dog("vdi", "check", "killed")


def path_killed(bed):
    """Two tgtd on two sheep, as a multipath initiator uses them: one dies, its path fails, the other goes on."""
    bed.create("paths", Writer.SIZE)
    one, other = Tgt(bed), Tgt(bed)
    uris = [one.export("path1", unix_store(bed.sheep[0], "paths")), other.export("path2", tcp_store(bed.sheep[1], "paths"))]
    writer = Writer(bed, uris, 2400 if bed.full else 800, seed=2)
    writer.start()
    writer.wait_for(200)
    one.kill()
    writer.finish()
    check(writer.uris[0] == uris[1], "the load never went to the other path")
    writer.verify(uris[1])
    writer.verify(bed.sheep[2].unix("paths"))
    bed.dog("vdi", "check", "paths")
