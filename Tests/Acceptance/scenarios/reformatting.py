"""a cluster is formatted again: its volumes are gone, what is made afterwards outlives restarts, and a new sheep can join"""

from acceptance import MiB, check
from contents import Contents

SHEEP, COPIES = 2, 2


def scenario(bed):
    bed.dog("vdi", "create", "old", "16M")
    bed.qemu_io(bed.sheep[0].unix("old"), "write -P 0x11 0 8M", "flush")
    bed.dog("cluster", "format", "-f", "-c", "2")
    bed.cluster.wait_running()
    bed.cluster.wait_nodes(2)
    check(not bed.cluster.volumes(), "volumes are left after a format")
    contents = Contents(bed)
    contents.create("new", 16 * MiB, 2)
    contents.write(bed.sheep[0], "new", 0, 16 * MiB)
    # Both formats are in the log that they replay now.
    bed.cluster.kill()
    bed.cluster.restart()
    contents.verify()
    bed.cluster.add()
    bed.cluster.wait_placed(bed.sheep)
    bed.cluster.wait_complete()
    contents.wait_placed()
    contents.verify()
