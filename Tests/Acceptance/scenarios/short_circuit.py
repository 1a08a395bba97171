"""sheepfs reads the files of a sheep on its machine by itself: never what others have overwritten, and not from one that is stopped or dead"""

import fcntl
import json
import mmap
import os
import random
import signal
import struct
import threading

import nbd
from acceptance import MiB, check
from doors import BLOCK, content, number_in
from sheepfs_mount import Sheepfs
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 300

SIZE = 16 * MiB
BLOCKS = SIZE // BLOCK
# Blocks of one.
OBJECT = 4 * MiB // BLOCK
READS = 4000
# Of the board that a sheep shares with its readers (Sources/ObjectStore/ShortCircuit): where the word of its life stands.
LIFE, OWNER_DIED, TID = 64, 0x40000000, 0x3FFFFFFF


def scenario(bed):
    bed.create("volume", SIZE)
    doors = [Door(sheep) for sheep in bed.sheep[:2]]
    with Sheepfs(bed.directory, bed.sheep[0], "--auto-mount", by_socket=True) as fs:
        file = os.open(fs.volume("volume"), os.O_RDONLY)
        try:
            rarely_asks(bed, file, doors[0])
            what_others_write(bed, file, doors)
            snapshot(bed, fs, file, doors[0])
            stays_in_use(bed, file)
            stopped(bed, file, doors[1])
        finally:
            os.close(file)
    for door in doors:
        door.close()
    dead_before_its_locks_go(bed)
    bed.dog("vdi", "check", "volume")


class Door:
    """A volume by NBD."""

    def __init__(self, sheep):
        self.handle = nbd.NBD()
        self.handle.connect_uri(sheep.unix("volume"))

    def write(self, block, number):
        self.handle.pwrite(content(number), block * BLOCK)

    def close(self):
        self.handle.shutdown()


def read(file, block):
    return number_in(os.pread(file, BLOCK, block * BLOCK))


def reads_served(bed, sheep):
    return json.loads(bed.dog("node", "stat", "--json", through=sheep))["client"]["reads"]


def rarely_asks(bed, file, door):
    """Reads of what nobody changes come from the files."""
    for block in range(BLOCKS):
        door.write(block, block)
    before = reads_served(bed, bed.sheep[0])
    chance = random.Random(1)
    for _ in range(READS):
        block = chance.randrange(BLOCKS)
        check(read(file, block) == block, f"block {block} is wrong")
    # At any offset, of any length, over the borders of objects too.
    whole = b"".join(content(block) for block in range(BLOCKS))
    for _ in range(READS // 4):
        start = chance.randrange(SIZE)
        length = chance.randrange(1, 3 * MiB)
        check(os.pread(file, length, start) == whole[start:start + length], f"{length} bytes at {start} are wrong")
    asked = reads_served(bed, bed.sheep[0]) - before
    print(f"{READS * 5 // 4} reads, of which the sheep was asked for {asked}")
    check(asked < READS // 10, f"the sheep was asked for {asked} of the reads")


def what_others_write(bed, file, doors):
    """What is acknowledged is seen, through whichever gateway it came, also by a reader that reads all the time."""
    written = {block: block for block in (0, 1, 1024, 1025, 2048, 2049, 3072, 3073)}
    before = reads_served(bed, bed.sheep[0])
    ended = threading.Event()
    seen = Seen(file, written, ended)
    seen.start()
    chance = random.Random(2)
    least = 4000 if bed.full else 800
    (count, asked) = (0, 0)
    # Until enough of the reads came from the files: how many do between two writes is the machine's to say.
    while count < least or (count + seen.count - asked < least and count < 50 * least):
        for _ in range(100):
            count += 1
            number = BLOCKS + count
            block = chance.choice(sorted(written))
            chance.choice(doors).write(block, number)
            written[block] = number
            found = read(file, block)
            check(found == number, f"block {block}: {number} was acknowledged, and {found} read after it")
        asked = reads_served(bed, bed.sheep[0]) - before
    ended.set()
    seen.finish()
    print(f"of {count + seen.count} reads beside {count} writes the sheep was asked for {asked}")
    check(count + seen.count - asked >= least, "what was read beside the writers was all asked for")


class Seen(threading.Thread):
    """Reads blocks whose numbers only grow: never less than was acknowledged before the read."""

    def __init__(self, file, written, ended):
        super().__init__(daemon=True)
        (self.file, self.written, self.ended) = (file, written, ended)
        (self.count, self.error) = (0, None)

    def run(self):
        chance = random.Random(3)
        blocks = sorted(self.written)
        try:
            while not self.ended.is_set():
                block = chance.choice(blocks)
                # A long read is done by two threads.
                (start, length) = (block // OBJECT * OBJECT, MiB) if chance.randrange(8) == 0 else (block, BLOCK)
                acknowledged = {here: self.written[here] for here in blocks if start <= here < start + length // BLOCK}
                data = os.pread(self.file, length, start * BLOCK)
                for here, number in acknowledged.items():
                    found = number_in(data[(here - start) * BLOCK:(here - start + 1) * BLOCK])
                    check(found >= number, f"block {here}: {found} was read after {number} had been acknowledged")
                self.count += 1
        except (OSError, AssertionError) as error:
            self.error = error

    def finish(self):
        self.join(60)
        check(self.error is None and not self.is_alive(), f"a reader: {self.error}")
        print(f"a reader beside the writers read {self.count} times")


def snapshot(bed, fs, file, door):
    """A snapshot gives the volume other objects; the file goes on with the volume, and the snapshot's own shows what was."""
    block = 2048
    door.write(block, 1 << 40)
    for _ in range(100):
        check(read(file, block) == 1 << 40, "the block before the snapshot")
    bed.dog("vdi", "snapshot", "-s", "tag", "volume")
    for _ in range(100):
        check(read(file, block) == 1 << 40, "the block after the snapshot")
    door.write(block, 2 << 40)
    for _ in range(100):
        check(read(file, block) == 2 << 40, "the block that was written after the snapshot")
    frozen = os.open(fs.volume("volume@tag"), os.O_RDONLY)
    try:
        before = reads_served(bed, bed.sheep[0])
        for _ in range(500):
            check(read(frozen, block) == 1 << 40, "the block in the snapshot")
            check(read(file, block) == 2 << 40, "the block beside the snapshot")
        asked = reads_served(bed, bed.sheep[0]) - before
        check(asked < 100, f"the sheep was asked for {asked} of 1000 reads of a snapshot and its volume")
        bed.dog("vdi", "delete", "-s", "tag", "volume")
        try:
            os.pread(frozen, BLOCK, block * BLOCK)
            check(False, "a deleted snapshot can be read")
        except OSError:
            pass
    finally:
        os.close(frozen)


def stays_in_use(bed, file):
    """A volume that is read only from the files is in use: a sheep hears of it every few seconds."""
    for _ in range(100):
        read(file, 9)
    before = reads_served(bed, bed.sheep[0])

    def hears():
        read(file, 9)
        return reads_served(bed, bed.sheep[0]) > before
    wait_until(hears, "the sheep hears of a volume that is read from its files", 20)


def stopped(bed, file, other):
    """The owner stands still, another takes over: from then on nothing is read of what the stopped one has."""
    first = 3 << 40
    block = 9
    other.write(block, first)
    while_grants_hold = [read(file, block) for _ in range(100)]
    check(set(while_grants_hold) == {first}, "what was written is not read")
    written = {block: first}
    ended = threading.Event()
    seen = Seen(file, written, ended)
    seen.start()
    bed.sheep[0].signal(signal.SIGSTOP)
    try:
        for number in range(first + 1, first + 200):
            other.write(block, number)
            written[block] = number
        # It goes on through another sheep; until then it reads nothing.
        count = seen.count
        wait_until(lambda: seen.error or seen.count > count + 10, "sheepfs goes on elsewhere", 60)
    finally:
        bed.sheep[0].signal(signal.SIGCONT)
    ended.set()
    seen.finish()
    bed.cluster.wait_recovered()


def dead_before_its_locks_go(bed):
    """A sheep's death is told to its readers before its lock lets others take over, however it dies."""
    for _ in range(100 if bed.full else 15):
        sheep = bed.sheep[0]
        (folder, descriptors) = descriptors_of(sheep.pid)
        board_name = next(name for name, target in descriptors.items() if "memfd:sheep-reads" in target)
        lock_path = next(target for target in descriptors.values() if target.endswith(".alive"))
        with open(f"{folder}/{board_name}", "rb") as board, open(lock_path, "rb") as lock:
            with mmap.mmap(board.fileno(), 0, prot=mmap.PROT_READ) as memory:
                check(lives(memory), "the board of a living sheep says that it is dead")
                os.kill(sheep.pid, signal.SIGKILL)
                while not locks(lock):
                    pass
                check(not lives(memory), "the lock of a dead sheep was given up before its readers could know")
        sheep.wait_ended()
        sheep.start()
        sheep.wait_listening()
    bed.cluster.wait_recovered()


def descriptors_of(pid):
    """The open files of a process that goes on opening and closing some."""
    folder = f"/proc/{pid}/fd"
    targets = {}
    for name in os.listdir(folder):
        try:
            targets[name] = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            continue
    return (folder, targets)


def lives(memory):
    (word,) = struct.unpack_from("<I", memory, LIFE)
    return word & TID != 0 and word & OWNER_DIED == 0


def locks(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
