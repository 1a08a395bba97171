"""dog's error texts and exit codes, as programs that call it expect them"""

import subprocess

from acceptance import check
from cluster import binaries
from ports import free_ports

# No cluster is formatted at the start: COPIES None.
SHEEP, COPIES = 1, None

EXIT_FAILURE, EXIT_SYSTEM, EXIT_EXISTS, EXIT_MISSING, EXIT_USAGE = 1, 2, 3, 5, 64

UNFORMATTED = [
    (0, "Cluster status: Waiting for cluster to be formatted", "cluster info"),
    (EXIT_FAILURE, "Failed to create VDI a: Waiting for cluster to be formatted", "vdi create a 16M"),
    (EXIT_SYSTEM, "Waiting for cluster to be formatted", "node info"),
]

# In this order: later rows meet what earlier ones made.
FORMATTED = [
    (0, "Cluster status: running", "cluster info"),
    (0, "", "vdi create volume 16M"),
    (EXIT_FAILURE, "Failed to create VDI volume: VDI exists already", "vdi create volume 16M"),
    (EXIT_FAILURE, "Failed to open VDI absent (snapshot id: 0 snapshot tag: ): No VDI found", "vdi snapshot -s t absent"),
    (0, ": No VDI found", "vdi delete absent"),
    (0, "", "vdi snapshot -s tag volume"),
    (EXIT_FAILURE, "Failed to create snapshot for volume, maybe snapshot id (0) or tag (tag) is existed", "vdi snapshot -s tag volume"),
    (0, "VDI volume is as its last snapshot", "vdi snapshot -R -v -s another volume"),
    (EXIT_USAGE, "Please specify a non-integer value for a snapshot tag name", "vdi snapshot -s 12 volume"),
    (EXIT_FAILURE, "Failed to find requested tag", "vdi clone -s nothing volume copy"),
    (0, "", "vdi clone -s tag volume copy"),
    (EXIT_USAGE, "Shrinking VDIs is not implemented", "vdi resize volume 1M"),
    (0, "", "vdi resize volume 32M"),
    (EXIT_MISSING, "Attribute 'key' not found", "vdi getattr volume key"),
    (0, "", "vdi setattr volume key value"),
    (EXIT_EXISTS, "The attribute 'key' already exists", "vdi setattr -x volume key value"),
    (0, "value", "vdi getattr volume key"),
    (0, "", "vdi create -y hyper 16M"),
    (0, "", "vdi delete -B 10 -I 0 hyper"),
    (0, "", "vdi rollback -f -s tag -B 10 -I 0 volume"),
    (0, "", "vdi check -e volume"),
    (0, "", "vdi list -r -o 0x12300000000 volume"),
    (EXIT_USAGE, "Invalid object id 'xyz'", "vdi list -o xyz"),
    (0, "", "node recovery -P"),
    (0, "", "cluster info -d"),
    (EXIT_USAGE, "A node id and '-l' exclude each other", "node kill -l 0"),
    (EXIT_USAGE, "Please specify the node id, or '-l'", "node kill"),
    (EXIT_FAILURE, "Invalid node id 9: there are 1 nodes", "node kill 9"),
    (0, "", "vdi delete copy"),
    (EXIT_USAGE, "", "vdi create"),
    (EXIT_USAGE, "", "vdi create volume nonsense"),
    (EXIT_USAGE, "", "vdi nonsense"),
    (EXIT_USAGE, "", "nonsense"),
]


# What sheep itself says of wrong options, before it touches anything.
SHEEP_OPTIONS_REFUSED = [
    (1, "Invalid port number '0'", "-p 0 /nonexistent/store"),
    (1, "Invalid zone id 'x': must be an integer between 0 and 4294967295", "-z x /nonexistent/store"),
    (1, "Invalid number of vnodes '0'", "-V 0 /nonexistent/store"),
    (1, "Options '-g' and '-V' can not be both specified", "-g -V 5 /nonexistent/store"),
    (1, "Unknown cluster engine 'shepherd:host'", "-c shepherd:host /nonexistent/store"),
    (1, "Missing expected argument '<store>'", "-p 7000"),
    (0, "sheep 2.", "-v"),
]


def scenario(bed):
    for status, text, words in SHEEP_OPTIONS_REFUSED:
        result = subprocess.run([binaries() / "sheep", *words.split()], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        said = result.stdout + result.stderr
        check(result.returncode == status and text in said, f"`sheep {words}` ended with {result.returncode} and said {said!r}")
    nobody = free_ports(1)[0]
    expect(nobody, EXIT_SYSTEM, f"failed to connect to 127.0.0.1:{nobody}: Connection refused", "node list")
    port = bed.sheep[0].port
    for row in UNFORMATTED:
        expect(port, *row)
    bed.cluster.format(1)
    for row in FORMATTED:
        expect(port, *row)


def expect(port, status, text, words):
    noun_and_verb, rest = words.split()[:2], words.split()[2:]
    # A command that is no command takes no port either.
    where = ["-p", str(port)] if len(noun_and_verb) == 2 else []
    result = subprocess.run(
        [binaries() / "dog", *noun_and_verb, *where, *rest], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    said = result.stdout + result.stderr
    check(result.returncode == status, f"`dog {words}` ended with {result.returncode} instead of {status}: {said}")
    check(text in said, f"`dog {words}` said {said!r} and not {text!r}")
    check(result.returncode == 0 or result.stderr or not text, f"`dog {words}` failed with nothing on standard error")
