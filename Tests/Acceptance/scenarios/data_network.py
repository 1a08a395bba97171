"""A network of its own for data between sheep (-i): used first; when it goes away the main addresses take over"""

import os
import subprocess

from acceptance import MiB, VerifyingLoad, check
from waiting import wait_until

SHEEP, COPIES, LIMIT, WITH_KEY = 2, None, 180, True

# Reserved for tests of networks (RFC 2544), so nobody else has it; by process, so that runs do not meet.
ADDRESS = f"198.18.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF or 1}"


def scenario(bed):
    address("add")
    try:
        bed.cluster.add(1, [*bed.cluster.options, "-i", f"host={ADDRESS}"])
        bed.cluster.add(1, [*bed.cluster.options, "-i", "host=127.0.0.2,port=" + str(other_port(bed))])
        bed.cluster.wait_nodes(4)
        bed.cluster.format(4)
        works(bed)
    finally:
        address("del", check_it=False)


def address(verb, check_it=True):
    """A network interface that can be taken away: on the way out packets to it are lost, as on a broken cable."""
    result = subprocess.run(["ip", "address", verb, f"{ADDRESS}/32", "dev", "lo"], capture_output=True, text=True)
    check(result.returncode == 0 or not check_it, f"ip address {verb}: {result.stderr}")


def other_port(bed):
    """127.0.0.2 is another host: the port may be one that is in use at 127.0.0.1."""
    return bed.sheep[0].port


def connections(sheep, host):
    """Established ones of a sheep to that host."""
    rows = subprocess.run(["ss", "-Htnp", "state", "established", "dst", host], capture_output=True, text=True).stdout
    return sum(f"pid={sheep.pid}," in row for row in rows.splitlines())


def works(bed):
    others = [bed.sheep[number] for number in (0, 1, 3)]
    third, fourth = bed.sheep[2], bed.sheep[3]
    for sheep in bed.sheep[:3]:
        check(connections(sheep, "127.0.0.2") == 1, f"sheep {sheep.number} does not use the fourth's data address")
    for sheep in others:
        check(connections(sheep, ADDRESS) == 1, f"sheep {sheep.number} does not use the third's data address")
        check(f"over its data address {ADDRESS}:{third.port}" in sheep.log.read_text(), "it does not say so")
    listing = bed.dog("node", "list", "-r")
    check(all(f"127.0.0.1:{sheep.port} " in listing for sheep in bed.sheep), f"node list shows other addresses:\n{listing}")
    # dog and Sheepdog's clients are served there as well.
    bed.run(os.path.join(os.path.dirname(third.program), "dog"), "node", "list", "-a", "127.0.0.2", "-p", other_port(bed), "--key", bed.cluster.key)
    bed.create("v", 64 * MiB)
    load = VerifyingLoad(bed, bed.sheep[0].tcp("v"), 25, "32M")
    epochs = bed.dog("cluster", "info", "-r").count("\n")
    address("del")
    for sheep in others:
        wait_until(
            lambda: "itself: its data address" in sheep.log.read_text(), f"sheep {sheep.number} uses the main address", 30)
        check(connections(sheep, "127.0.0.2") == (sheep is not fourth), "the other data network was left as well")
    load.finish()
    check(third.is_running() and "was called down" not in third.log.read_text(), "the sheep was called down")
    check(bed.dog("cluster", "info", "-r").count("\n") == epochs, "there was another epoch")
    bed.cluster.wait_recovered()
    bed.dog("vdi", "check", "v")
    # It joins again without its data network only with the address there, which is said.
    third.kill()
    third.start()
    wait_until(lambda: not third.is_running(), "a sheep that cannot listen on its data address ends")
    check(f"cannot listen on {ADDRESS}" in third.log_tail(), third.log_tail())
    address("add")
    third.start()
    third.wait_listening()
    bed.cluster.wait_recovered()
    wait_until(lambda: all(connections(sheep, ADDRESS) == 1 for sheep in others), "the data network is used again")
    address("del")
