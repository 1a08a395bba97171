"""the cluster's key: without it, with another one or with garbage nobody is served; every side says why"""

import os
import socket
import struct
import subprocess

import sheepdog_client
from acceptance import MiB, check
from cluster import binaries
from waiting import wait_until

SHEEP, COPIES, LIMIT, OWN_NETWORK = 3, 3, 180, True


def scenario(bed):
    bed.create("volume", 16 * MiB)
    bed.qemu_io(bed.sheep[1].unix("volume"), "write -P 0x11 0 1M", "read -P 0x11 0 1M")
    other = make_key(bed, "other")
    key_files(bed)
    dog_and_sheepfs(bed, other)
    sheep(bed, other)
    raw_connections(bed)
    sheepdogs_own_clients(bed)
    bed.qemu_io(bed.sheep[2].unix("volume"), "read -P 0x11 0 1M")
    bed.dog("cluster", "check")


def make_key(bed, name):
    bed.run(binaries() / "dog", "cluster", "key", bed.directory / name)
    return bed.directory / name


def said(command, status=None):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    check(result.returncode != 0 and (status is None or result.returncode == status), f"{command} ended with {result.returncode}")
    return result.stdout + result.stderr


def key_files(bed):
    """The mode, and what a listener on another address than the loopback wants."""
    mine = make_key(bed, "mine")
    before = mine.read_bytes()
    text = said([binaries() / "dog", "cluster", "key", mine], 1)
    check("exists" in text and mine.read_bytes() == before, f"a key was written over: {text}")
    mine.chmod(0o644)
    for command in (
        [*bed.sheep[0].entry, binaries() / "dog", "node", "list", "-a", bed.sheep[0].host, "-p", bed.sheep[0].port, "--key", mine],
        [binaries() / "sheep", "-f", "-p", 1234, "--key", mine, bed.directory / "none"],
        [binaries() / "sheepfs", "-f", "--key", mine, bed.directory],
    ):
        check("chmod 0600" in (text := said(command, 1)), f"a key that others may read: {text}")
    text = said([binaries() / "sheep", "-f", "-b", "10.83.0.1", bed.directory / "none"], 1)
    check("dog cluster key" in text, f"a sheep without a key on another address than the loopback says {text}")
    text = said([binaries() / "sheep", "-f", "-i", "host=10.83.0.1", bed.directory / "none"], 1)
    check("dog cluster key" in text, f"a sheep without a key with a data network that others reach says {text}")


def dog_and_sheepfs(bed, other):
    sheep = bed.sheep[0]
    base = [*sheep.entry, binaries() / "dog", "node", "list", "-a", sheep.host, "-p", sheep.port]
    check("wants the cluster's key" in (text := said(base)), f"dog without a key is told {text}")
    check("another cluster key" in (text := said([*base, "--key", other])), f"dog with another key is told {text}")
    by_socket = [binaries() / "dog", "node", "list", "-a", sheep.store / "sock"]
    check("wants the cluster's key" in (text := said(by_socket)), f"by the unix socket dog without a key is told {text}")
    bed.run(*by_socket, "--key", bed.cluster.key)
    environment = {**os.environ, "SHEEPDOG_KEY": str(bed.cluster.key)}
    result = subprocess.run([str(w) for w in base], env=environment, capture_output=True, text=True, timeout=60)
    check(result.returncode == 0, f"dog with SHEEPDOG_KEY: {result.stderr}")
    # Over the loopback as well: who has a key asks everybody for it.
    mount = bed.directory / "mount"
    mount.mkdir()
    fs = [*sheep.entry, binaries() / "sheepfs", "-f", "-a", sheep.host, "-p", sheep.port]
    check("wants the cluster's key" in (text := said([*fs, mount])), f"sheepfs without a key is told {text}")
    check("another cluster key" in (text := said([*fs, "--key", other, mount])), f"sheepfs with another key is told {text}")
    process = bed.start(*fs, "--key", bed.cluster.key, "--auto-mount", mount, output="sheepfs.log")
    try:
        wait_until(lambda: (mount / "volume/volume").exists(), "sheepfs with the key shows the volume")
        check((mount / "volume/volume").open("rb").read(4096) == b"\x11" * 4096, "sheepfs shows something else")
    finally:
        process.terminate()
        process.wait(30)


def sheep(bed, other):
    """One with another key meets the others in the engine, which knows no keys, and no other sheep takes it for one of them."""
    victim = bed.sheep[2]
    victim.kill()
    wait_until(lambda: bed.cluster.node_state(victim, bed.sheep[0]) == "down", "the killed sheep is down")
    good, victim.key = victim.key, other
    victim.start()
    victim.wait_listening()
    wait_until(lambda: "has another cluster key" in victim.log.read_text(), "the sheep with another key says so")
    wait_until(lambda: "has another cluster key" in bed.sheep[0].log.read_text(), "the others say so")
    bed.qemu_io(bed.sheep[0].unix("volume"), "read -P 0x11 0 1M")
    victim.kill()
    victim.key = None
    text = said([*victim.command(), "-f", "-l", "dst=stdout", victim.store], 1)
    check("dog cluster key" in text, f"without a key it says {text}")
    victim.key = good
    victim.start()
    victim.wait_listening()
    bed.cluster.wait_recovered()


def ask(sheep, data):
    """What comes back to these bytes on a fresh connection, from the sheep's own host."""
    program = (
        "import socket,sys\n"
        f"s=socket.create_connection(('{sheep.host}',{sheep.port}));s.settimeout(10);s.sendall(bytes.fromhex(sys.argv[1]))\n"
        "d=b''\n"
        "try:\n"
        "  while True:\n"
        "    p=s.recv(65536)\n"
        "    if not p: break\n"
        "    d+=p\n"
        "except ConnectionError: pass\n"
        "print(d.hex())")
    result = subprocess.run(
        [*sheep.entry, "/usr/bin/python3", "-c", program, data.hex()], capture_output=True, text=True, timeout=30)
    check(result.returncode == 0, f"the sheep does not close the connection: {result.stderr}")
    return bytes.fromhex(result.stdout.strip())


def frame(operation, body=b"", payload=0, identity=7):
    return struct.pack("<BBHIIIII", 0xD1, operation, 0, 0, identity, len(body) + payload, len(body), 0) + bytes(24) + body


def raw_connections(bed):
    """Every operation of ours, and noise: at most a refusal comes back, and the connection ends."""
    target = bed.sheep[0]
    operations = [0x01, 0x02, 0x04, *range(0x10, 0x17), *range(0x20, 0x2F), 0x30]
    for operation in operations:
        reply = ask(target, frame(operation, bytes(24)))
        check(len(reply) >= 48 and reply[1] == operation, f"operation {operation:#x} without a key got {reply[:64]}")
        check(struct.unpack_from("<I", reply, 20)[0] != 0 and b"wants the cluster's key" in reply, f"operation {operation:#x} got {reply}")
    huge = frame(0x12, b"", payload=100 << 20)
    check(b"wants the cluster's key" in ask(target, huge), "a long request without a key")
    challenge = frame(0x03, bytes([1, 2]) + os.urandom(32))
    reply = ask(target, challenge + frame(0x04, os.urandom(32)) + frame(0x02, bytes(8)))
    check(b"has another cluster key" in reply and reply.count(b"\xd1\x02") == 0, f"a guessed proof got {reply}")
    for length in (1, 47, 49, 200):
        ask(target, b"\xd1" + os.urandom(length))
    check(bed.cluster.status(target).startswith("Cluster status: running"), "the sheep serves no longer")


def sheepdogs_own_clients(bed):
    """They cannot prove a key: by the unix socket and the loopback they come in, from another address where it is admitted."""
    request = struct.pack("<BBHIII", 2, sheepdog_client.GET_NODE_LIST, 0, 0, 1, 4096) + bytes(32)
    target = bed.sheep[0]
    check(ask(target, request) == b"", "one of Sheepdog's own clients was served over the network")
    check("--admit-legacy" in target.log.read_text(), "the sheep's log does not tell how to let it in")
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(str(target.store / "sock"))
        local.sendall(request)
        check(len(local.recv(4096)) >= 48, "one of this machine was not served on the unix socket")
    target.kill()
    target.extra_options = [*target.extra_options, "--admit-legacy", "10.83.0.0/24"]
    target.start()
    target.wait_listening()
    bed.cluster.wait_recovered()
    check(len(ask_until_answered(target, request)) >= 48, "it was not let in")


def ask_until_answered(sheep, data):
    program = (
        "import socket,sys\n"
        f"s=socket.create_connection(('{sheep.host}',{sheep.port}));s.settimeout(10);s.sendall(bytes.fromhex(sys.argv[1]))\n"
        "print(s.recv(65536).hex())")
    result = subprocess.run(
        [*sheep.entry, "/usr/bin/python3", "-c", program, data.hex()], capture_output=True, text=True, timeout=30)
    return bytes.fromhex(result.stdout.strip())
