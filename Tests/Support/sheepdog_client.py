"""A client of Sheepdog's own protocol that sends whatever a test wants, and the steps of the well-known clients."""

import socket
import struct

CREATE_AND_WRITE, READ, WRITE, REMOVE, DISCARD = 0x01, 0x02, 0x03, 0x04, 0x05
NEW_VDI, LOCK_VDI, RELEASE_VDI, GET_VDI_INFO, READ_VDIS, FLUSH_VDI, DEL_VDI, GET_CLUSTER_DEFAULT = range(0x11, 0x19)
GET_NODE_LIST, STAT_SHEEP, STAT_CLUSTER, MD_INFO, EXIST, CLUSTER_INFO, READ_DEL_VDIS = 0x82, 0x86, 0x87, 0xB1, 0xBD, 0xBE, 0xC9

FLAG_WRITE, FLAG_COW, FLAG_CACHE, FLAG_TGT = 0x01, 0x02, 0x04, 0x20

SUCCESS, NO_OBJECT, VDI_EXISTS, INVALID, LOCKED, NO_VDI, NO_TAG = 0x00, 0x02, 0x04, 0x05, 0x07, 0x08, 0x0E
VERSION_MISMATCH, READONLY, INVALIDATED = 0x14, 0x1A, 0x1D

HEADER_SIZE = 4664
QEMU_INODE_SIZE = 4198968
DOG_INODE_SIZE = 12587576
OBJECT = 4 << 20


def inode_oid(vid):
    return 1 << 63 | vid << 32


def data_oid(vid, index):
    return vid << 32 | index


class Reply:
    def __init__(self, header, data):
        self.header, self.data = header, data
        self.opcode, self.id = header[1], struct.unpack_from("<I", header, 8)[0]
        self.result = struct.unpack_from("<I", header, 16)[0]
        self.vid = struct.unpack_from("<I", header, 24)[0]


class SheepdogClient:
    """One connection; one request at a time unless `send` and `receive` are used."""

    def __init__(self, port=None, path=None, version=1):
        self.version = version
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(path))
        else:
            self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(60)
        self.next_id = 0

    def close(self):
        self.socket.close()

    # Raw

    def send(self, opcode, union=b"", payload=None, flags=0, length=None, version=None, id=None):
        if id is None:
            self.next_id += 1
            id = self.next_id
        if payload is not None:
            flags |= FLAG_WRITE
        length = len(payload or b"") if length is None else length
        if version is None:
            version = 0x0A if opcode >= 0x80 else self.version
        header = struct.pack("<BBHIII", version, opcode, flags, 0, id, length) + union.ljust(32, b"\0")
        self.socket.sendall(header + (payload or b""))
        return id

    def receive(self):
        header = self._take(48)
        return Reply(header, self._take(struct.unpack_from("<I", header, 12)[0]))

    def _take(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError(f"the sheep closed the connection, {count - len(data)} bytes lack")
            data += piece
        return bytes(data)

    def ask(self, opcode, union=b"", payload=None, **options):
        self.send(opcode, union, payload, **options)
        return self.receive()

    # Objects

    def read(self, oid, length, offset=0, flags=0):
        return self.ask(READ, struct.pack("<QQQQ", oid, 0, 0, offset), length=length, flags=flags)

    def write(self, oid, data, offset=0, flags=0):
        return self.ask(WRITE, struct.pack("<QQQQ", oid, 0, 0, offset), payload=data, flags=flags)

    def create(self, oid, data, offset=0, source=0, flags=0):
        if source:
            flags |= FLAG_COW
        return self.ask(CREATE_AND_WRITE, struct.pack("<QQQQ", oid, source, 0, offset), payload=data, flags=flags)

    def write_slots(self, vid, index, slots, flags=0):
        return self.write(inode_oid(vid), struct.pack(f"<{len(slots)}I", *slots), HEADER_SIZE + 4 * index, flags)

    def slots(self, vid, flags=0, size=QEMU_INODE_SIZE):
        reply = self.read(inode_oid(vid), size, flags=flags)
        assert reply.result == SUCCESS, reply.result
        return struct.unpack_from(f"<{1 << 20}I", reply.data, HEADER_SIZE)

    def flush(self, vid):
        return self.ask(FLUSH_VDI, struct.pack("<Q", inode_oid(vid)))

    # Volumes

    @staticmethod
    def _names(name, tag=""):
        return name.encode().ljust(256, b"\0") + tag.encode().ljust(256, b"\0")

    def new(self, name, size=0, base=0, snapshot_id=0, copies=0, shift=0):
        union = struct.pack("<QIBBBBII", size, base, copies, 0, 0, shift, snapshot_id, 0)
        return self.ask(NEW_VDI, union, self._names(name)[:256])

    def find(self, name, tag="", snapshot_id=0, lock=None):
        """With `lock` 0 (normal) or 1 (shared) it also locks."""
        union = struct.pack("<QIIII", 0, 0, 0, snapshot_id, lock or 0)
        return self.ask(GET_VDI_INFO if lock is None else LOCK_VDI, union, self._names(name, tag))

    def release(self, vid, lock=0):
        return self.ask(RELEASE_VDI, struct.pack("<QIIII", 0, vid, 0, 0, lock))

    def delete(self, name, tag="", snapshot_id=0):
        return self.ask(DEL_VDI, struct.pack("<QIII", 0, 0, 0, snapshot_id), self._names(name, tag))

    def header(self, vid, flags=0):
        reply = self.read(inode_oid(vid), HEADER_SIZE, flags=flags)
        assert reply.result == SUCCESS, reply.result
        return Inode(reply.data)


class Inode:
    """The first 4664 bytes."""

    def __init__(self, data):
        self.data = bytearray(data[:HEADER_SIZE])
        self.name = bytes(data[:256]).split(b"\0")[0].decode()
        self.tag = bytes(data[256:512]).split(b"\0")[0].decode()
        self.create_time, self.snap_ctime, _, self.size = struct.unpack_from("<QQQQ", data, 512)
        self.copies, self.shift, self.snap_id, self.vid, self.parent = struct.unpack_from("<BBIII", data, 554)
