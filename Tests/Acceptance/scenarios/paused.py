"""a sheep stands still until the others call it down; it goes on as a new run, catches up, and its clients' connections end"""

import signal
import time

import nbd
from acceptance import MiB, VerifyingLoad, check
from contents import Contents, connect
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 180


def scenario(bed):
    contents = Contents(bed)
    contents.create("volume", 16 * MiB, 3)
    contents.create_foreign("busy", 16 * MiB, 3)
    contents.write(bed.sheep[2], "volume", 0, 8 * MiB)
    load = VerifyingLoad(bed, bed.sheep[0].unix("busy"), 3600, 16 * MiB, name="busy")
    client = connect(bed.sheep[2], "volume")
    client.pread(4096, 0)
    sheep, pid = bed.sheep[2], bed.sheep[2].pid
    sheep.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: bed.cluster.node_state(sheep, bed.sheep[0]) == "down", "the others call it down", 60)
        contents.write(bed.sheep[1], "volume", 4 * MiB, 8 * MiB)
    finally:
        sheep.signal(signal.SIGCONT)
    sheep.wait_listening()
    bed.cluster.wait_recovered()
    check(sheep.is_running() and sheep.pid == pid, "it is another process")
    started = time.monotonic()
    try:
        client.pread(4096, 5 * MiB)
        raise AssertionError("its former run answered a client")
    except nbd.Error:
        check(time.monotonic() - started < 10, "a client of its former run waited")
    load.stop()
    contents.verify()
    bed.dog("cluster", "check")
