"""fio verifies its checksums under random reads and writes, depth 16, over both kinds of socket at once"""

from acceptance import MiB, VerifyingLoad

SHEEP, COPIES = 3, 3


def scenario(bed):
    seconds = 60 if bed.full else 15
    loads = []
    for name, uri in (("one", bed.sheep[0].unix("one")), ("two", bed.sheep[2].tcp("two"))):
        bed.create(name, 64 * MiB)
        loads.append(VerifyingLoad(bed, uri, seconds, 64 * MiB, name=name))
    for load in loads:
        load.finish(seconds + 120)
