"""nbdinfo lists volumes with their sizes, over TCP and the unix socket of every sheep"""

import json

from acceptance import MiB, check
from cluster import CommandFailed

SHEEP, COPIES = 3, 3


def scenario(bed):
    sizes = {"small": 4096, "odd": 10 * MiB + 512, "large": 1 << 43}
    for name, size in sizes.items():
        bed.create(name, size)
    for sheep in bed.sheep:
        for uri in (sheep.tcp(), sheep.unix()):
            listed = json.loads(bed.run("nbdinfo", "--json", "--list", uri))["exports"]
            found = {export["export-name"]: export["export-size"] for export in listed}
            check(found == sizes, f"nbdinfo --list {uri} shows {found} instead of {sizes}")
    for name, size in sizes.items():
        check(int(bed.run("nbdinfo", "--size", bed.sheep[1].tcp(name))) == size, f"wrong size of {name}")
    refuses_unknown_name(bed)


def refuses_unknown_name(bed):
    try:
        bed.run("nbdinfo", "--size", bed.sheep[0].unix("nothing"))
    except CommandFailed:
        return
    check(False, "an export that does not exist was opened")
