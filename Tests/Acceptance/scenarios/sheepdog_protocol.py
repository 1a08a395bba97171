"""Sheepdog's own protocol against real sheep: QEMU's and dog's steps, discards that come late, locks, hostile frames"""

import os
import struct
import time

from acceptance import MiB, check
from cluster import binaries
from process import is_running, resident_bytes
from sheepdog_client import (
    DOG_INODE_SIZE, EXIST, FLAG_CACHE, FLAG_TGT, GET_NODE_LIST, INVALID, INVALIDATED, LOCKED, NEW_VDI, NO_OBJECT, NO_TAG, NO_VDI, OBJECT,
    READONLY, READ_DEL_VDIS, READ_VDIS, STAT_SHEEP, SUCCESS, VDI_EXISTS, VERSION_MISMATCH, SheepdogClient, data_oid,
    inode_oid)
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 240

# A zero slot becomes a discard so late.
DISCARD_SECONDS = 10


def scenario(bed):
    one, other = SheepdogClient(path=bed.sheep[0].store / "sock"), SheepdogClient(port=bed.sheep[1].port, version=0)
    qemu(one, other)
    dog(SheepdogClient(path=bed.sheep[0].store / "sock", version=2), SheepdogClient(port=bed.sheep[1].port, version=2))
    rotated(bed)
    given_back(bed)
    discards(bed, one, other)
    listings(bed, one)
    hostile(bed)
    locks(bed)


def ok(reply, wanted=SUCCESS):
    check(reply.result == wanted, f"opcode {reply.opcode:#x} gave {reply.result:#x} and not {wanted:#x}")
    return reply


def qemu(one, other):
    """Opens, writes, takes a snapshot under an open volume, goes back."""
    ok(one.find("q"), NO_VDI)
    vid = ok(one.new("q", 64 * MiB)).vid
    ok(one.new("q", 64 * MiB), VDI_EXISTS)
    check(ok(other.find("q", lock=0)).vid == vid, "another sheep finds another volume")
    check(not any(other.slots(vid)), "a new volume shows objects")
    ok(other.create(data_oid(vid, 3), b"a" * 4096, 8192, flags=FLAG_CACHE))
    ok(other.write_slots(vid, 3, [vid]))
    ok(other.flush(vid))
    check(one.read(data_oid(vid, 3), 4096, 8192).data == b"a" * 4096, "other data at another sheep")
    # All of the header with a tag, then a volume on top of the present one.
    header = other.header(vid).data
    header[256:261] = b"first"
    ok(other.write(inode_oid(vid), bytes(header)))
    new = ok(other.new("q", 64 * MiB, base=vid, snapshot_id=1)).vid
    ok(other.write(data_oid(vid, 3), b"b" * 512), READONLY)
    check(ok(other.find("q")).vid == new and ok(one.find("q", tag="first")).vid == vid, "names lead elsewhere")
    ok(one.write(data_oid(vid, 3), b"b" * 512), READONLY)
    ok(one.find("q", tag="second"), NO_TAG)
    ok(other.create(data_oid(new, 3), b"b" * 512, source=data_oid(vid, 3)))
    ok(other.write_slots(new, 2, [0, new, 0]))
    check(one.read(data_oid(new, 3), 512).data == b"b" * 512, "the write after the snapshot is lost")
    check(one.read(data_oid(new, 3), 4096, 8192).data == b"a" * 4096, "what was copied on write is lost")
    check(one.read(data_oid(vid, 3), 512).data == bytes(512), "the snapshot changed")
    check(other.slots(new)[2:5] == (0, new, 0), "QEMU's view of the slots")
    # Back to the snapshot: the working volume is deleted, and another branches off.
    ok(other.delete("q"))
    back = ok(other.new("q", 64 * MiB, base=vid)).vid
    check(one.read(data_oid(back, 3), 512).data == bytes(512), "the branch is not as the snapshot")


def dog(one, other):
    """Creates, writes with and without a snapshot below, clones, resizes, deletes."""
    vid = ok(one.new("d", 32 * MiB, copies=2, shift=22)).vid
    check(one.header(vid).copies == 2 and one.header(vid).size == 32 * MiB, "not as it was ordered")
    ok(one.write(data_oid(vid, 0), b"x" * 512), NO_OBJECT)
    ok(other.read(data_oid(vid, 0), 512), NO_OBJECT)
    ok(one.create(data_oid(vid, 0), b"1" * 4096))
    ok(one.write_slots(vid, 0, [vid]))
    ok(one.write(inode_oid(vid), b"t".ljust(256, b"\0"), 256))
    new = ok(one.new("d", 32 * MiB, base=vid, snapshot_id=1)).vid
    check(one.slots(new, size=DOG_INODE_SIZE)[:2] == (vid, 0), "dog sees whose the objects are")
    ok(other.create(data_oid(new, 0), b"2" * 10, 5, source=data_oid(vid, 0)))
    check(one.slots(new, size=DOG_INODE_SIZE)[:2] == (new, 0), "the object is the volume's own by now")
    clone = ok(other.new("e", 32 * MiB, base=vid)).vid
    check(one.read(data_oid(clone, 0), 4096).data == b"1" * 4096, "the clone is not as its snapshot")
    check(one.header(clone).snap_id == 1 and one.header(clone).parent == vid, "dog would not call it a clone")
    header = bytearray(one.header(new).data)
    struct.pack_into("<Q", header, 536, 40 * MiB)
    ok(one.write(inode_oid(new), bytes(header)))
    check(other.header(new).size == 40 * MiB, "not resized")
    # 128 slots at a time, then the inode.
    ok(one.write_slots(new, 0, [0] * 8))
    ok(one.delete("d"))
    ok(one.find("d"), NO_VDI)
    check(one.header(vid).name == "d" and one.header(new).name == "", "what is deleted has no name")


def snapshot(client, name, tag, vid):
    ok(client.write(inode_oid(vid), tag.encode().ljust(256, b"\0"), 256))
    return ok(client.new(name, 32 * MiB, base=vid, snapshot_id=1)).vid


def rotated(bed):
    """Live snapshots are deleted while a guest runs, which goes on under the VIDs that it knows."""
    guest = SheepdogClient(path=bed.sheep[0].store / "sock", version=0)
    admin = SheepdogClient(port=bed.sheep[1].port, version=2)
    first = ok(guest.new("r", 32 * MiB)).vid
    for index in range(4):
        ok(guest.create(data_oid(first, index), b"1" * 4096))
    second = snapshot(admin, "r", "monday", first)
    reader = SheepdogClient(port=bed.sheep[2].port, version=0)
    check(ok(reader.find("r", tag="monday")).vid == first, "the snapshot has another VID")
    ok(reader.read(data_oid(first, 0), 512))
    ok(guest.write(data_oid(first, 0), b"2" * 512), READONLY)
    ok(guest.create(data_oid(second, 0), b"2" * 512, source=data_oid(first, 0)))
    ok(admin.delete("r", tag="monday"))
    # An inode is read after a look at the log: from then on the guest's sheep knows.
    ok(guest.read(inode_oid(first), 1, flags=FLAG_TGT), INVALIDATED)
    check(ok(guest.read(data_oid(first, 1), 4096)).data == b"1" * 4096, "what the guest did not write since is gone")
    ok(guest.read(data_oid(first, 1), 512, flags=FLAG_TGT), INVALIDATED)
    # Another door writes, so that nothing needs the snapshot's own object any more.
    bed.qemu_io(bed.sheep[2].tcp("r"), f"write -P 0x33 {OBJECT} 4k")
    third = snapshot(admin, "r", "tuesday", second)
    bed.qemu_io(bed.sheep[2].tcp("r"), f"write -P 0x34 {2 * OBJECT} 4k")
    check(ok(guest.read(data_oid(first, 1), 512)).data == b"3" * 512, "the next snapshot shows something else")
    check(ok(guest.read(data_oid(first, 2), 512)).data == b"1" * 512, "the next snapshot changed")
    ok(admin.delete("r", tag="tuesday"))
    guest.header(first)
    check(ok(guest.read(data_oid(first, 2), 512)).data == b"4" * 512, "the working volume shows something else")
    later = SheepdogClient(port=bed.sheep[2].port, version=0)
    check(ok(later.read(data_oid(first, 3), 512)).data == b"1" * 512, "a later connection reads something else")
    # Who reads the snapshot itself must not get what came after it.
    reader.header(first)
    check(reader.read(data_oid(first, 2), 512).result != SUCCESS, "a deleted snapshot is read")
    check(admin.slots(third, size=DOG_INODE_SIZE)[:5] == (third, third, third, third, 0), "dog is led to what is deleted")
    check(ok(admin.read(data_oid(third, 3), 512)).data == b"1" * 512, "dog does not find what a snapshot left")
    ok(admin.delete("r"))
    guest.header(first)
    check(guest.read(data_oid(first, 3), 512).result != SUCCESS, "a deleted volume is read")


def given_back(bed):
    """Another door gives space back in pieces, and as a whole."""
    guest, dog = (SheepdogClient(path=bed.sheep[0].store / "sock", version=version) for version in (0, 2))
    vid = ok(guest.new("g", 32 * MiB)).vid
    for index in range(3):
        ok(guest.create(data_oid(vid, index), b"g" * 4096))
    pieces = [f"discard {OBJECT + start} {OBJECT // 4}" for start in range(0, OBJECT, OBJECT // 4)]
    bed.qemu_io(bed.sheep[1].tcp("g"), *pieces, f"discard 0 {OBJECT}")
    check(guest.slots(vid)[:3] == dog.slots(vid, size=DOG_INODE_SIZE)[:3] == (0, vid, vid), f"slots are {guest.slots(vid)[:3]}")
    for index, wanted in ((0, NO_OBJECT), (1, SUCCESS), (2, SUCCESS)):
        ok(dog.read(data_oid(vid, index), 512), wanted)
        ok(dog.ask(EXIST, struct.pack("<Q", data_oid(vid, index))), wanted)
        ok(dog.write(data_oid(vid, index), b"h" * 512, 512), wanted)
        # QEMU has its own memory of the slots.
        ok(guest.read(data_oid(vid, index), 512))
    ok(guest.write(data_oid(vid, 0), b"i" * 512, 1024))
    check(ok(dog.read(data_oid(vid, 0), 1536)).data == bytes(1024) + b"i" * 512, "the object is not as it was made anew")


def discards(bed, one, other):
    vid = ok(one.new("trim", 32 * MiB)).vid
    for index in range(8):
        ok(one.create(data_oid(vid, index), b"z" * 4096))
    for door, indices in ((one, (0, 1, 2)), (other, (6, 7))):
        for index in indices:
            ok(door.write_slots(vid, index, [0]))
    discarded = time.monotonic()
    # A write to the object cancels, at whatever door: another sheep, NBD.
    ok(other.write(data_oid(vid, 1), b"y" * 512, 8192, flags=FLAG_TGT))
    ok(one.write(data_oid(vid, 7), b"y" * 512, 8192, flags=FLAG_TGT))
    bed.qemu_io(bed.sheep[2].tcp("trim"), f"write -P 0x41 {2 * OBJECT} 512")
    check(one.read(data_oid(vid, 0), 4096).data == b"z" * 4096, "discarded at once")

    def are_holes():
        return all(other.read(data_oid(vid, index), 4096, flags=FLAG_TGT).data == bytes(4096) for index in (0, 6))

    wait_until(are_holes, "the objects are discarded", 30)
    check(time.monotonic() - discarded > DISCARD_SECONDS - 1, "discarded too early")
    check(one.slots(vid)[:8] == (0, vid, vid, vid, vid, vid, 0, vid), f"slots are {one.slots(vid)[:8]}")
    for index in (1, 7):
        check(one.read(data_oid(vid, index), 512, 8192).data == b"y" * 512, "a write was lost to a discard before it")
    # QEMU's deletion of a snapshot zeroes slots of the working volume, then deletes.
    ok(one.write(inode_oid(vid), b"old".ljust(256, b"\0"), 256))
    new = ok(one.new("trim", 32 * MiB, base=vid, snapshot_id=1)).vid
    ok(one.write_slots(new, 0, [0] * 3))
    ok(one.write_slots(new, 4, [0]))
    ok(other.write_slots(new, 5, [0]))
    ok(one.delete("trim", tag="old"))
    ok(one.write_slots(new, 3, [0]))
    wait_until(lambda: one.read(data_oid(new, 3), 1, flags=FLAG_TGT).data == b"\0", "the last discard is done", 30)
    for index in (1, 2, 4, 5):
        check(ok(one.read(data_oid(new, index), 512)).data != bytes(512), f"object {index} is gone with the snapshot")
    check(one.read(data_oid(new, 4), 4096).data == b"z" * 4096, "the working volume was emptied")


def listings(bed, one):
    nodes = one.ask(GET_NODE_LIST, length=6144 * 80)
    check(struct.unpack_from("<I", nodes.header, 20)[0] == 3, "three nodes are there")
    ports = [struct.unpack_from("<H", nodes.data, 80 * number + 40)[0] for number in range(3)]
    check(ports == sorted(sheep.port for sheep in bed.sheep), f"ports are {ports}")
    check(all(struct.unpack_from("<Q", nodes.data, 80 * number + 72)[0] > 0 for number in range(3)), "a node has no space")
    check(struct.unpack_from("<QQ", one.ask(STAT_SHEEP).header, 32)[0] > 0, "the sheep has no space")
    in_use = one.ask(READ_VDIS, length=1 << 21).data
    deleted = one.ask(READ_DEL_VDIS, length=1 << 21).data
    names = set()
    for index, byte in enumerate(in_use):
        for bit in range(8):
            if byte >> bit & 1 and not deleted[index] >> bit & 1:
                names.add(one.header(index * 8 + bit).name)
    check(names == {"q", "d", "e", "g", "trim"}, f"volumes are {names}")


def hostile(bed):
    sheep = bed.sheep[0]
    before = resident_bytes(sheep.pid)
    honest = SheepdogClient(path=sheep.store / "sock")
    vid = ok(honest.new("kept", 8 * MiB)).vid
    ok(honest.create(data_oid(vid, 1), b"k" * 512))
    for opcode in range(256):
        for flags in (0, FLAG_TGT):
            ok_or_refused(SheepdogClient(port=sheep.port).ask(opcode, os.urandom(32), flags=flags, length=512), opcode)
        ok_or_refused(SheepdogClient(port=sheep.port).ask(opcode, os.urandom(32), os.urandom(512)), opcode)
    ok(honest.ask(NEW_VDI, payload=b"x" * 255), INVALID)
    ok(honest.ask(GET_NODE_LIST, length=80, version=2), VERSION_MISMATCH)
    for _ in range(20):
        lost = SheepdogClient(port=sheep.port)
        lost.socket.sendall(struct.pack("<BBHIII32s", 1, 3, 1, 0, 1, 4 << 20, struct.pack("<Q", data_oid(vid, 1))) + b"k" * 1000)
        lost.close()
    check(honest.read(data_oid(vid, 1), 512).data == b"k" * 512, "an honest client's data changed")
    check(is_running(sheep.pid), "the sheep died")
    grown = resident_bytes(sheep.pid) - before
    check(grown < 96 * MiB, f"the sheep grew by {grown / MiB:.0f} MiB")


def ok_or_refused(reply, opcode):
    check(reply.opcode == opcode and reply.result != 0xFF, "an answer to something else")


def connected_anew(sheep):
    """A format that empties a store starts its sheep anew."""
    wait_until(lambda: sheep.log.read_text().count("joined the cluster") == 2, f"sheep {sheep.number} joined again", 60)
    return SheepdogClient(port=sheep.port)


def dog_lock(bed, verb, *rest):
    return bed.run(binaries() / "dog", "vdi", "lock", verb, "-a", "127.0.0.1", "-p", bed.sheep[0].port, *rest)


def locks(bed):
    """Formatted with -l a volume is for one client, or for those that share it; a sheep's end ends its locks."""
    bed.dog("cluster", "format", "-c", "3", "-l", "-f")
    one, other = connected_anew(bed.sheep[0]), connected_anew(bed.sheep[1])
    vid = ok(one.new("l", 8 * MiB)).vid
    ok(one.find("l", lock=0))
    ok(one.find("l", lock=0), LOCKED)
    ok(other.find("l", lock=0), LOCKED)
    ok(other.find("l", lock=1), LOCKED)
    ok(other.find("l"))
    ok(other.delete("l"), LOCKED)
    check(dog_lock(bed, "list", "-r").startswith("l "), "dog does not list the lock")
    ok(one.release(vid))
    ok(one.find("l", lock=1))
    ok(other.find("l", lock=1))
    ok(one.release(vid, lock=1))
    ok(one.find("l", lock=0), LOCKED)
    bed.sheep[1].kill()
    wait_until(lambda: one.find("l", lock=0).result == SUCCESS, "the lock of a dead sheep ends")
    dog_lock(bed, "unlock", "l")
    ok(one.find("l", lock=0))
    # Under the lock a snapshot is taken by its owner, and the lock goes on with the volume.
    ok(one.write(inode_oid(vid), b"s".ljust(256, b"\0"), 256))
    new = ok(one.new("l", 8 * MiB, base=vid, snapshot_id=1)).vid
    ok(one.read(data_oid(vid, 0), 1, flags=FLAG_TGT), INVALIDATED)
    ok(one.find("l", lock=0), LOCKED)
    ok(one.find("l", tag="s", lock=0))
    ok(one.release(new))
    ok(one.find("l", lock=0))
