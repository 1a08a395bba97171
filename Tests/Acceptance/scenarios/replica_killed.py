"""one of three sheep is killed under a verifying load: no error; it returns, fetches only what changed, and all copies agree"""

import process
from acceptance import MiB, VerifyingLoad, check

SHEEP, COPIES, LIMIT = 3, 3, 300

COLD = 192 * MiB
CHANGED = 16 * MiB


def scenario(bed):
    killed_under_load(bed)
    returns_with_little_to_fetch(bed)


def killed_under_load(bed):
    seconds = 90 if bed.full else 25
    bed.create("busy", 64 * MiB)
    load = VerifyingLoad(bed, bed.sheep[0].unix("busy"), seconds, 64 * MiB)
    bed.cluster.wait_nodes(3)
    bed.sheep[2].kill()
    bed.cluster.wait_nodes(2)
    check(load.running(), "the load ended when a replica was killed")
    bed.sheep[2].start()
    bed.sheep[2].wait_listening()
    bed.cluster.wait_recovered()
    load.finish(seconds + 120)
    bed.dog("vdi", "check", "busy")


def returns_with_little_to_fetch(bed):
    """What the returning node writes to its disk is bounded by what changed while it was away, not by what it holds."""
    bed.create("cold", COLD)
    bed.run("nbdcopy", "--flush", bed.random_file("source", COLD), bed.sheep[0].unix("cold"))
    bed.sheep[2].kill()
    bed.cluster.wait_nodes(2)
    bed.qemu_io(bed.sheep[0].unix("cold"), f"write -P 0x42 {64 * MiB} {CHANGED}", "flush")
    bed.sheep[2].start()
    bed.sheep[2].wait_listening()
    bed.cluster.wait_recovered()
    written = process.storage_bytes_written(bed.sheep[2].pid)
    check(written >= CHANGED, f"the returning node wrote {written} bytes, but {CHANGED} had changed")
    check(written <= CHANGED + 64 * MiB, f"the returning node wrote {written >> 20} MiB for {CHANGED >> 20} MiB that had changed")
    bed.dog("vdi", "check", "cold")
    bed.qemu_io(bed.sheep[2].unix("cold"), f"read -P 0x42 {64 * MiB} {CHANGED}")
