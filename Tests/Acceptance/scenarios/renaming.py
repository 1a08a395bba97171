"""Renaming: by dog and by Sheepdog's header, with the snapshots, under a load; who has it open never meets a stranger"""

import os
import struct

from acceptance import MiB, VerifyingLoad, check
from sheepdog_client import INVALID, READONLY, SUCCESS, VDI_EXISTS, SheepdogClient, inode_oid
from sheepfs_mount import Sheepfs
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 180


def scenario(bed):
    under_load(bed)
    by_header(bed)
    open_files(bed)


def under_load(bed):
    bed.create("old", 64 * MiB)
    bed.qemu_io(bed.sheep[0].tcp("old"), "write -P 0x11 48M 1M")
    bed.dog("vdi", "snapshot", "old", "-s", "before")
    load = VerifyingLoad(bed, bed.sheep[1].tcp("old"), 15, "32M")
    # fio asks for the size on a connection of its own, long before it begins.
    wait_until(lambda: working(bed, "old").used > 8 * MiB, "the load writes")
    bed.dog("vdi", "create", "taken", "4M")
    refused(bed, "vdi", "rename", "old", "taken", says="VDI exists already")
    refused(bed, "vdi", "rename", "nobody", "x", says="No VDI found")
    bed.dog("vdi", "rename", "old", "new", through=bed.sheep[2])
    rows = [(row.flag, row.name) for row in bed.cluster.volumes()]
    check(sorted(rows) == [("=", "new"), ("=", "taken"), ("s", "new")], f"volumes are {rows}")
    # The old name is free, and what gets it has nothing to do with the volume whose clients go on.
    bed.create("old", 64 * MiB)
    bed.qemu_io(bed.sheep[2].tcp("old"), "write -P 0x77 0 1M")
    bed.dog("vdi", "snapshot", "new", "-s", "after")
    load.finish()
    bed.qemu_io(bed.sheep[0].tcp("new"), "read -P 0x11 48M 1M")
    output = bed.run("qemu-io", "-r", "-f", "raw", bed.sheep[0].tcp("new@before"), "-c", "read -P 0x11 48M 1M")
    check("failed" not in output, output)
    bed.qemu_io(bed.sheep[0].tcp("old"), "read -P 0x77 0 1M")
    bed.dog("vdi", "rollback", "-f", "-s", "before", "new")
    bed.dog("vdi", "clone", "-s", "after", "new", "copy")
    # Snapshots that a deleted volume left keep its name to themselves.
    bed.dog("vdi", "snapshot", "taken", "-s", "left")
    bed.dog("vdi", "delete", "taken")
    refused(bed, "vdi", "rename", "new", "taken", says="VDI exists already")


def working(bed, name):
    return next(row for row in bed.cluster.volumes() if row.name == name and row.flag != "s")


def refused(bed, *command, says):
    result = bed.cluster.run_dog(*command)
    check(result.returncode == 1 and says in result.stderr, f"`{' '.join(command)}`: {result.returncode}, {result.stderr}")


def by_header(bed):
    one, other = SheepdogClient(path=bed.sheep[0].store / "sock"), SheepdogClient(port=bed.sheep[1].port)
    vid = one.new("first", 8 * MiB).vid

    def write(payload, offset=0, at=one, of=vid):
        return at.write(inode_oid(of), payload, offset).result

    check(write(b"second".ljust(256, b"\0")) == SUCCESS, "the name alone")
    check(other.header(vid).name == "second" and other.find("second").vid == vid, "not renamed")
    stale = one.header(vid)
    whole = bytearray(stale.data)
    whole[:256] = b"third".ljust(256, b"\0")
    check(write(bytes(whole), at=other) == SUCCESS and one.find("third").vid == vid, "a whole header that only renames")
    # What QEMU knows of the header is older than the name: it gives a tag and a size, and no name.
    tagged = bytearray(stale.data)
    tagged[256:261] = b"stale"
    check(write(bytes(tagged)) == INVALID and one.header(vid).name == "third", "an old header renamed the volume back")
    grown = bytearray(stale.data)
    struct.pack_into("<Q", grown, 536, 16 * MiB)
    check(write(bytes(grown)) == INVALID and one.header(vid).size == 8 * MiB, "an old header was taken for a resize")
    check(write(b"old".ljust(256, b"\0")) == VDI_EXISTS, "a name in use")
    check(write(b"\0" * 256) == INVALID, "no name")
    check(write(b"tag".ljust(256, b"\0"), 256) == SUCCESS, "a tag")
    new = one.new("third", 8 * MiB, base=vid, snapshot_id=1).vid
    check(one.header(vid).tag == "tag" and one.find("third", tag="tag").vid == vid, "the snapshot has another tag")
    check(write(b"other".ljust(256, b"\0"), 256) == READONLY, "the tag of a snapshot")
    check(write(b"other".ljust(256, b"\0")) == READONLY, "the name of a snapshot alone")
    check(write(b"fourth".ljust(256, b"\0"), of=new) == SUCCESS, "a volume with a snapshot")
    check(one.header(vid).name == "fourth" and other.find("fourth", tag="tag").vid == vid, "the snapshot stayed behind")


def open_files(bed):
    """A file of sheepfs whose sheep dies goes on with its volume, not with the one that has its name by now."""
    bed.create("alice", 8 * MiB)
    with Sheepfs(bed.directory, bed.sheep[1], "--auto-mount") as fs:
        descriptor = os.open(fs.volume("alice"), os.O_RDWR)
        os.pwrite(descriptor, b"a" * 4096, 0)
        bed.dog("vdi", "rename", "alice", "bob", through=bed.sheep[0])
        bed.dog("vdi", "create", "alice", "16M", through=bed.sheep[0])
        # The path leads to the new one, and the open file to its own.
        with open(fs.volume("alice"), "r+b") as other:
            other.write(b"c" * 4096)
            other.flush()
            check(os.fstat(other.fileno()).st_size == 16 * MiB, "the new volume's file has another size")
            os.fsync(other.fileno())
        check(os.fstat(descriptor).st_size == 8 * MiB, "a volume that was renamed has the size of the one that has its name")
        bed.dog("vdi", "snapshot", "bob", "-s", "s", through=bed.sheep[0])
        bed.sheep[1].kill()
        os.pwrite(descriptor, b"b" * 4096, 4096)
        check(os.pread(descriptor, 8192, 0) == b"a" * 4096 + b"b" * 4096, "the open file shows another volume")
        os.fsync(descriptor)
        os.close(descriptor)
    bed.qemu_io(bed.sheep[0].tcp("bob"), "read -P 0x61 0 4k", "read -P 0x62 4k 4k")
    bed.qemu_io(bed.sheep[0].tcp("alice"), "read -P 0x63 0 4k", "read -P 0 4k 4k")
