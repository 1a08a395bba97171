"""sheep on hosts of their own are cut off, both ways, one way, and from one other only: others serve on, nothing acknowledged is lost"""

from acceptance import MiB
from cluster import CommandFailed
from doors import Clients, wait_down
from waiting import wait_until

SHEEP, COPIES, LIMIT, OWN_NETWORK = 3, 3, 300, True
SHEEP_OPTIONS = ("--io-timeout", "0")


def scenario(bed):
    bed.create("volume", 16 * MiB)
    # Its gateway takes the lease, and keeps it as long as it is not cut off.
    bed.qemu_io(bed.sheep[0].unix("volume"), "write 8M 64k")
    faults = [cut_off_0, one_way_1_to_2]
    if bed.full:
        faults += [cut_off_1, cut_off_2, unplug_0, one_way_from_2, one_way_to_1, pair_0_and_1, pair_1_and_2, lossy, narrow]
    # Each client has two doors, so that one stays when a sheep is cut off.
    with Clients(bed, "volume", 3, bed.sheep) as clients:
        clients.wait_progress()
        for fault in faults:
            fault(bed, clients)
            bed.network.heal()
            settled(bed, clients)
            print(f"{fault.__name__}: {clients.told()}", flush=True)
    bed.dog("vdi", "check", "volume")


def settled(bed, clients):
    """All are back and in sync, and every door shows the same."""
    bed.cluster.wait_recovered()
    clients.wait_progress()
    clients.verify(bed.sheep)


# A sheep that reaches nobody: the others call it down and serve all clients. Then its run is over.

def cut_off(bed, clients, sheep, cut):
    run = clients.new_run(sheep)
    cut(sheep.number + 1)
    wait_down(bed, sheep)
    clients.ended(run)
    clients.wait_progress()


def cut_off_0(bed, clients):
    cut_off(bed, clients, bed.sheep[0], bed.network.isolate)


def cut_off_1(bed, clients):
    cut_off(bed, clients, bed.sheep[1], bed.network.isolate)


def cut_off_2(bed, clients):
    cut_off(bed, clients, bed.sheep[2], bed.network.isolate)


def unplug_0(bed, clients):
    cut_off(bed, clients, bed.sheep[0], bed.network.unplug)
    bed.network.plug(1)


# Who is called down is the cluster's choice; somebody is, and the clients go on.

def some_sheep_down(bed):
    def sees_one_down(through):
        try:
            return any(node["state"] == "down" for node in bed.cluster.nodes(through))
        except CommandFailed:
            return True  # it starts anew just now
    return any(sees_one_down(s) for s in bed.sheep)


def somebody_leaves(bed, clients):
    wait_until(lambda: some_sheep_down(bed), "one of those who do not hear each other is called down", 60)
    clients.wait_progress()


def one_way_1_to_2(bed, clients):
    bed.network.cut_one_way(2, 3)
    somebody_leaves(bed, clients)


def one_way_from_2(bed, clients):
    for other in (1, 2):
        bed.network.cut_one_way(3, other)
    somebody_leaves(bed, clients)


def one_way_to_1(bed, clients):
    for other in (1, 3):
        bed.network.cut_one_way(other, 2)
    somebody_leaves(bed, clients)


def pair_0_and_1(bed, clients):
    bed.network.cut(1, 2)
    somebody_leaves(bed, clients)


def pair_1_and_2(bed, clients):
    bed.network.cut(2, 3)
    somebody_leaves(bed, clients)


# A bad link: whether or not somebody leaves, the clients go on.

def lossy(bed, clients):
    for other in (1, 3):
        bed.network.lose(2, other, 20)
        bed.network.lose(other, 2, 20)
    clients.wait_progress(count=200, timeout=120)


def narrow(bed, clients):
    bed.network.slow_down(2, 4000)
    clients.wait_progress(count=200, timeout=120)
    bed.network.speed_up(2)
