"""make run: a cluster that stays, is found running, and finds its data again; make stop"""

import os
import subprocess

import process
from acceptance import SUPPORT, check
from ports import free_ports, is_free

# This cluster is only a neighbour: what make run starts must not mind it.
SHEEP, COPIES, LIMIT = 1, 1, 240


def scenario(bed):
    ports = free_ports(6)
    directory = bed.directory / "run"
    environment = dict(
        os.environ, RUN_DIR=str(directory), SHEEP_PORTS=" ".join(map(str, ports[:3])), NBD_PORTS=" ".join(map(str, ports[3:])), SIZE="64M")
    uri = f"nbd://127.0.0.1:{ports[3]}/demo"
    try:
        printed = act(environment, "start")
        check(uri in printed and "cluster shutdown" in printed, f"it does not say how to attach and to stop:\n{printed}")
        bed.qemu_io(uri, "write -P 0x21 1M 1M", "flush")
        check("already runs" in act(environment, "start"), "a second start does not see the first")
        act(environment, "stop")
        check(all(is_free(port) for port in ports), "ports are still taken after the stop")
        act(environment, "start")
        bed.qemu_io(f"nbd://127.0.0.1:{ports[5]}/demo", "read -P 0x21 1M 1M")
        act(environment, "stop")
        taken_port_is_named(bed, environment)
    finally:
        end_what_is_left(directory)


def act(environment, action, wanted=0):
    result = subprocess.run(
        [SUPPORT / "run_cluster.py", action], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    check(result.returncode == wanted, f"run_cluster.py {action} ended with {result.returncode}:\n{result.stdout}")
    return result.stdout


def taken_port_is_named(bed, environment):
    taken = bed.sheep[0].port
    ports = " ".join([str(taken), *environment["SHEEP_PORTS"].split()[1:]])
    printed = act(dict(environment, SHEEP_PORTS=ports), "start", wanted=1)
    check(f"Port {taken} is taken" in printed and "SHEEP_PORTS" in printed, f"it does not say what to do:\n{printed}")


def end_what_is_left(directory):
    for file in directory.glob("*.pid"):
        pid = int(file.read_text() or 0)
        if process.is_program(pid, "sheep"):
            os.kill(pid, 9)
