"""Deleting: a volume that a client has attached at any sheep stays; a dead sheep's clients stand in nobody's way"""

import re
import subprocess

from acceptance import MiB, check
from sheepfs_mount import Sheepfs
from waiting import wait_until

SHEEP, COPIES, LIMIT = 3, 3, 120
# More than a client says before its first request.
HANDSHAKE = 300


def scenario(bed):
    bed.create("used", 16 * MiB)
    # The first sheep is the owner; the clients are elsewhere, and one of them never asked for anything.
    bed.qemu_io(bed.sheep[0].tcp("used"), "write -P 1 0 4k")
    silent = hold(bed, bed.sheep[1])
    refused(bed, bed.sheep[1])
    bed.qemu_io(bed.sheep[2].tcp("used"), "read -P 1 0 4k")
    silent.kill()
    silent.wait()
    with Sheepfs(bed.directory, bed.sheep[2], "--auto-mount") as fs:
        with open(fs.volume("used"), "rb") as file:
            check(file.read(4096) == b"\1" * 4096, "other data")
            refused(bed, bed.sheep[2])
    # A snapshot may go while its volume is in use.
    bed.dog("vdi", "snapshot", "used", "-s", "s")
    holder = hold(bed, bed.sheep[2])
    refused(bed, bed.sheep[2])
    bed.dog("vdi", "delete", "used", "-s", "s")
    # Its clients are forgotten with the sheep.
    bed.sheep[2].kill()
    wait_until(lambda: delete(bed).returncode == 0, "the volume can be deleted", 30)
    check(holder.wait(60) != 0, "the client of the killed sheep went on")
    check("used" not in bed.dog("vdi", "list", "-r"), "the volume is still there")


def hold(bed, sheep):
    """An NBD client that has the volume attached and reads now and then."""
    name = f"holder{sheep.number}"
    process = bed.start(
        "fio", f"--name={name}", "--ioengine=nbd", f"--uri={sheep.tcp('used')}", "--rw=randread", "--bs=4k", "--size=16M",
        "--rate_iops=10", "--thread", "--time_based", "--runtime=100", output=f"{name}.log")
    wait_until(lambda: received(sheep) > HANDSHAKE, "the client reads")
    return process


def received(sheep):
    """Bytes that the sheep has from its NBD client."""
    sockets = subprocess.run(
        ["ss", "-Htni", "state", "established", "sport", f":{sheep.nbd_port}"], capture_output=True, text=True).stdout
    return max((int(count) for count in re.findall(r"bytes_received:(\d+)", sockets)), default=0)


def delete(bed):
    return bed.cluster.run_dog("vdi", "delete", "used", through=bed.sheep[0])


def refused(bed, sheep):
    for through in (bed.sheep[0], sheep):
        result = bed.cluster.run_dog("vdi", "delete", "used", through=through)
        check(result.returncode == 1 and "VDI is already locked" in result.stderr, f"{result.returncode}: {result.stderr}")
        check(f"127.0.0.1:{sheep.port}" in result.stderr, f"the message does not say where: {result.stderr}")
