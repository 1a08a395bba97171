"""hostile NBD clients, while another one works: it sees no error, and memory and sockets of the sheep stay bounded"""

import random
import select
import socket
import struct
import time

import process
from acceptance import MiB, VerifyingLoad, check
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 180

# https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
CLIENT_FLAGS = struct.pack(">I", 3)  # fixed newstyle, no zeroes
OPTION_MAGIC = b"IHAVEOPT"
EXPORT_NAME, ABORT, LIST, INFO, GO, STRUCTURED_REPLY, SET_META_CONTEXT = 1, 2, 3, 6, 7, 8, 10
READ, WRITE, DISCONNECT, FLUSH, TRIM = 0, 1, 2, 3, 4

SILENT_CLIENTS = 200
READS_NEVER_TAKEN = 64
MEMORY_GROWTH_MAX = 384 * MiB
SEED = 20240229


def scenario(bed):
    seconds = 60 if bed.full else 30
    bed.create("honest", 64 * MiB)
    bed.create("victim", 64 * MiB)
    target = bed.sheep[0]
    bed.qemu_io(target.unix("victim"), "write -P 0x5c 0 64M", "flush")
    load = VerifyingLoad(bed, target.unix("honest"), seconds, 64 * MiB)
    check(load.running(), "the honest client works")
    memory, sockets = process.resident_bytes(target.pid), process.open_sockets(target.pid)
    for attack in ATTACKS:
        try:
            attack(target.nbd_port)
        except OSError:
            pass  # a server may close at any point; what counts is how it is afterwards
        check(target.is_running(), f"the sheep ended under {attack.__name__}:\n{target.log_tail()}")
        grown = process.resident_bytes(target.pid) - memory
        check(grown < MEMORY_GROWTH_MAX, f"{attack.__name__} made the sheep grow by {grown >> 20} MiB")
        bed.run("nbdinfo", "--size", target.tcp("victim"), timeout=10)
    load.finish(seconds + 120)
    # The honest client's own connections are gone too, so there must be fewer than before; three are left to chance.
    wait_until(
        lambda: process.open_sockets(target.pid) <= sockets + 3,
        f"the sheep closes what the attackers opened (it had {sockets} sockets)", timeout=60)
    bed.qemu_io(target.unix("victim"), "read -P 0x5c 0 16M")


# The attacker's tools

def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def receive(attacker, count):
    data = b""
    while len(data) < count:
        piece = attacker.recv(count - len(data))
        if not piece:
            raise ConnectionError("closed by the server")
        data += piece
    return data


def option(kind, data, length=None):
    return OPTION_MAGIC + struct.pack(">II", kind, len(data) if length is None else length) + data


def request(command, offset, length, flags=0, cookie=1, magic=0x25609513):
    return struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length)


def open_victim(port):
    attacker = connect(port)
    receive(attacker, 18)
    attacker.sendall(CLIENT_FLAGS + option(EXPORT_NAME, b"victim"))
    receive(attacker, 10)
    return attacker


def send_and_leave(port, data, opened=False):
    """Sends, reads what comes for a moment, goes. That the server closes first is its good right."""
    attacker = open_victim(port) if opened else connect(port)
    try:
        attacker.sendall(data)
        if select.select([attacker], [], [], 0.2)[0]:
            attacker.recv(65536)
    except OSError:
        pass
    finally:
        attacker.close()


# The attacks

def garbage_instead_of_a_handshake(port):
    source = random.Random(SEED)
    for _ in range(30):
        send_and_leave(port, source.randbytes(source.randrange(1, 4000)))


def handshakes_cut_short(port):
    whole = CLIENT_FLAGS + option(GO, struct.pack(">I", 6) + b"victim" + struct.pack(">H", 0))
    for length in range(0, len(whole), 3):
        send_and_leave(port, whole[:length])


def option_lengths_that_lie(port):
    name_of_four_billion = struct.pack(">I", 0xFFFFFFFF) + b"victim"
    for data in (
        option(GO, b"", length=0xFFFFFFFF), option(EXPORT_NAME, b"victim", length=0x7FFFFFFF), option(GO, name_of_four_billion),
        option(INFO, b"\0\0"), option(SET_META_CONTEXT, struct.pack(">II", 0xFFFFFFF0, 0xFFFFFFFF)), option(0xDEADBEEF, b"x" * 100),
        option(EXPORT_NAME, b"n" * 5000), option(EXPORT_NAME, b"\xff\xfe\x00"), option(ABORT, b""),
    ):
        send_and_leave(port, CLIENT_FLAGS + data)


def options_without_end(port):
    send_and_leave(port, CLIENT_FLAGS + option(LIST, b"") * 20000)


def requests_out_of_bounds(port):
    huge = 0xFFFFFFFF
    for data in (
        request(READ, 0, huge), request(READ, 1 << 63, 4096), request(READ, 64 * MiB - 512, 4096), request(READ, (1 << 64) - 512, 1024),
        request(TRIM, 0, huge), request(WRITE, 64 * MiB, 512) + b"z" * 512, request(WRITE, 0, huge) + b"z" * 100000,
        request(0xBEEF, 0, 0), request(READ, 0, 0), request(READ, 0, 512, flags=0xFFFF), request(READ, 0, 512, magic=0),
    ):
        send_and_leave(port, data, opened=True)


def writes_cut_short(port):
    """What is written is what stands there already: the victim is read at the end."""
    for length in (0, 1, 4095, 100000):
        send_and_leave(port, request(WRITE, 0, MiB) + b"\x5c" * length, opened=True)


def random_requests(port):
    source = random.Random(SEED)
    for _ in range(30):
        stream = b"".join(
            request(source.choice([READ, FLUSH, 5, 7, 99]), source.getrandbits(64), source.getrandbits(32), source.getrandbits(16))
            for _ in range(20))
        send_and_leave(port, stream, opened=True)


def reads_that_nobody_takes(port):
    """Each asks for 64 times 32 MiB and reads nothing."""
    attackers = [open_victim(port) for _ in range(4)]
    try:
        for attacker in attackers:
            attacker.sendall(b"".join(request(READ, 0, 32 * MiB, cookie=n) for n in range(READS_NEVER_TAKEN)))
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:  # gives the sheep the time to take what it should not take
            select.select([], [], [], 0.1)
    finally:
        for attacker in attackers:
            attacker.close()


def silent_clients(port):
    """They say nothing, then break their connections off with a reset."""
    attackers = []
    try:
        for _ in range(SILENT_CLIENTS):
            attackers.append(connect(port))
    finally:  # a limit on connections is one way to stay bounded
        for attacker in attackers:
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            attacker.close()


ATTACKS = [
    garbage_instead_of_a_handshake, handshakes_cut_short, option_lengths_that_lie, options_without_end, requests_out_of_bounds,
    writes_cut_short, random_requests, reads_that_nobody_takes, silent_clients,
]
