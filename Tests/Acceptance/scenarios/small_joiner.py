"""a sheep joins whose disk is too small for its share: it takes what fits, no client's write fails for it, and the rest comes when there is space"""

from acceptance import MiB, VerifyingLoad, check
from contents import Contents
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 2, 300
SMALL = 96 * MiB


def scenario(bed):
    contents = Contents(bed)
    for name, size in (("kept", 40 * MiB), ("ballast", 120 * MiB)):
        contents.create(name, size, 2)
        contents.write(bed.sheep[0], name, 0, size)
    contents.create_foreign("busy", 16 * MiB, 2)
    load = VerifyingLoad(bed, bed.sheep[0].unix("busy"), 3600, 16 * MiB, name="busy")
    bed.mount(bed.sheep[0].store.with_name(f"sheep{SHEEP}"), SMALL)
    small, = bed.cluster.add(options=[*bed.cluster.options, "-V", "400"])
    wait_until(
        lambda: any("takes no copies that it should have" in line for line in bed.information_warnings()),
        "`dog cluster info` says that the new sheep is nearly full", 120, interval=0.5)
    check("leaves" in small.log.read_text(errors="replace"), "it was not filled before it was nearly full")
    contents.verify()
    # New data, too: what the full one is to have as well must not be refused for it.
    contents.create("later", 8 * MiB, 2)
    contents.write(bed.sheep[1], "later", 0, 8 * MiB)
    contents.verify()
    contents.delete("ballast")
    bed.cluster.wait_complete(120)
    load.stop()
    contents.verify()
    bed.dog("cluster", "check")
