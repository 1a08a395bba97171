"""the sheep that a client writes through is killed: within 3 s another one has every acknowledged write"""

import time

import nbd
from acceptance import MiB, check
from journal import Journal

SHEEP, COPIES, LIMIT = 3, 3, 180

SIZE = 32 * MiB
TAKEOVER_MAX = 3.0


def scenario(bed):
    bed.create("owned", SIZE)
    journal = Journal(SIZE)
    for owner, heir in ((0, 1), (1, 2)) if bed.full else ((0, 1),):
        write_until_killed(bed, journal, bed.sheep[owner])
        verify_elsewhere(bed, journal, bed.sheep[heir])
        bed.sheep[owner].start()
        bed.sheep[owner].wait_listening()
        bed.cluster.wait_recovered()
    for sheep in bed.sheep:
        journal.verify(connect(sheep))
    bed.dog("vdi", "check", "owned")


def connect(sheep):
    handle = nbd.NBD()
    handle.connect_uri(sheep.unix("owned"))
    return handle


def write_until_killed(bed, journal, sheep):
    handle = connect(sheep)
    journal.write(handle, until=lambda: journal.acknowledged >= 2000)
    wanted = journal.acknowledged + 500
    sheep_is_dead = False

    def kill_in_the_middle():
        nonlocal sheep_is_dead
        if not sheep_is_dead and journal.acknowledged >= wanted:
            sheep.kill()
            sheep_is_dead = True
        return False

    journal.write(handle, until=kill_in_the_middle)
    check(sheep_is_dead, "the connection broke before the sheep was killed")


def verify_elsewhere(bed, journal, sheep):
    started = time.monotonic()
    handle = connect(sheep)
    handle.pread(4096, 0)
    handle.pwrite(handle.pread(4096, SIZE - 4096), SIZE - 4096)
    taken = time.monotonic() - started
    check(taken <= TAKEOVER_MAX, f"the other door opened after {taken:.1f} s")
    print(f"takeover in {taken:.2f} s, {journal.acknowledged} writes acknowledged")
    journal.verify(handle)
