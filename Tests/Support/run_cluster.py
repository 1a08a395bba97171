#!/usr/bin/python3
"""`make run` and `make stop`: a three-node cluster on this machine that stays, and keeps its data.

  run_cluster.py start|stop

RUN_DIR         where it lives                     (run/ of this project)
SHEEP_PORTS     three ports for sheep              (7000 7001 7002)
NBD_PORTS       three ports for NBD                (10809 10810 10811)
VOLUME, SIZE    the volume that a new cluster gets (demo, 10G)
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import ports
from cluster import REPOSITORY, RUNNING, UNFORMATTED, Cluster, CommandFailed, binaries
from waiting import TimedOut, wait_until

COPIES = 3
# sockaddr_un has 108 bytes for the path with its final zero.
SOCKET_PATH_MAX = 107


class Problem(Exception):
    """Something the user can mend; its text says how."""


def ports_from(variable, default):
    words = os.environ.get(variable, default).replace(",", " ").split()
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if len(set(numbers)) != 3 or not all(0 < number < 65536 for number in numbers):
        raise Problem(f"{variable} must be three different ports, for example {variable}=\"{default}\".")
    return numbers


def configured_cluster():
    directory = Path(os.environ.get("RUN_DIR") or REPOSITORY / "run").resolve()
    cluster = Cluster(directory, 3, ports_from("SHEEP_PORTS", "7000 7001 7002"), ports_from("NBD_PORTS", "10809 10810 10811"))
    longest = max(len(os.fsencode(sheep.nbd_socket)) for sheep in cluster.sheep)
    if longest > SOCKET_PATH_MAX:
        raise Problem(f"The path of RUN_DIR is {longest - SOCKET_PATH_MAX} bytes too long for a unix socket in it: set a shorter one.")
    for sheep in cluster.sheep:
        sheep.pid = sheep.daemon_pid()
    return cluster


def check_ports(cluster):
    """Only those of sheep that do not run yet must be free."""
    for sheep in cluster.sheep:
        for port, variable in ((sheep.port, "SHEEP_PORTS"), (sheep.nbd_port, "NBD_PORTS")):
            if not sheep.is_running() and not ports.is_free(port):
                raise Problem(
                    f"Port {port} is taken by something else (`ss -ltnp sport = :{port}` shows by what).\n"
                    f"Stop that, or choose others: make run {variable}=\"20001 20002 20003\"")


def start_sheep(cluster):
    for sheep in cluster.sheep:
        if sheep.is_running():
            continue
        try:
            sheep.start_daemon()
            sheep.wait_listening()
        except RuntimeError as error:
            raise Problem(f"{error}\nIts log is in {sheep.store}. `make stop` ends those that were started.")


def format_once(cluster):
    """Formats a cluster that never was; one with data is left to open by itself."""
    try:
        wait_until(lambda: cluster.status().startswith((RUNNING, UNFORMATTED)), "the cluster is open", 60)
    except TimedOut:
        raise Problem(f"The cluster does not open. `dog cluster info` says: {cluster.status()}")
    if cluster.status().startswith(UNFORMATTED):
        cluster.wait_nodes(len(cluster.sheep))
        cluster.dog("cluster", "format", "-c", str(COPIES))
    cluster.wait_running()


def create_volume(cluster):
    name, size = os.environ.get("VOLUME") or "demo", os.environ.get("SIZE") or "10G"
    if not any(volume.name == name for volume in cluster.volumes()):
        cluster.dog("vdi", "create", name, size)
    return name


def explain(cluster, volume):
    first = cluster.sheep[0]
    dog = binaries() / "dog"
    print(f"""
The cluster runs: three sheep, {COPIES} copies of every object, data in {cluster.directory}

Look at it
  {dog} cluster info -p {first.port}
  {dog} vdi list -p {first.port}
Attach volume {volume}
  nbdinfo {first.tcp(volume)}
  nbdinfo '{first.unix(volume)}'
  qemu-img info {first.tcp(volume)}
  qemu-system-x86_64 -m 1024 -drive file={first.tcp(volume)},format=raw,if=virtio -cdrom debian.iso -boot d
  {binaries() / "sheepfs"} -a {first.store}/sock --auto-mount /mnt    # as the file /mnt/volume/{volume}, see docs/sheepfs.md
  tgtadm --lld iscsi --mode logicalunit --op new --tid 1 --lun 1 --bstype sheepdog \\
      --backing-store unix:{first.store}/sock:{volume}    # as an iSCSI disk of Debian's tgt, see docs/iscsi.md
The same volume behind the other sheep
  {cluster.sheep[1].tcp(volume)}
  {cluster.sheep[2].tcp(volume)}
Stop it; `make run` finds its data again
  {dog} cluster shutdown -p {first.port}""")


def start():
    cluster = configured_cluster()
    if all(sheep.is_running() for sheep in cluster.sheep):
        print("It already runs.")
    check_ports(cluster)
    start_sheep(cluster)
    format_once(cluster)
    explain(cluster, create_volume(cluster))


def stop():
    cluster = configured_cluster()
    if not any(sheep.is_running() for sheep in cluster.sheep):
        print("It does not run.")
        return
    try:
        cluster.dog("cluster", "shutdown")
    except CommandFailed as error:
        # Not formatted yet, or nobody answers: then each is asked by itself.
        print(f"{error}\nStopping the sheep one by one.")
        for sheep in cluster.sheep:
            sheep.signal(signal.SIGTERM)
    for sheep in cluster.sheep:
        sheep.wait_ended(60)
    print(f"Stopped; its data is in {cluster.directory}")


def main():
    actions = {"start": start, "stop": stop}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(__doc__)
    if not (binaries() / "sheep").exists():
        sys.exit(f"There is no sheep in {binaries()}: run `make build` first.")
    try:
        actions[sys.argv[1]]()
    except (Problem, CommandFailed, TimedOut) as error:
        sys.exit(f"{error}")
    except subprocess.TimeoutExpired as error:
        sys.exit(f"`{' '.join(error.cmd)}` did not end in {error.timeout:g} s; the sheep's logs are in their stores.")


if __name__ == "__main__":
    main()
