"""Free TCP ports."""

import random
import socket

# Below the range that the kernel takes for outgoing connections, so that none of these takes a port between our look and its use.
FIRST, LAST = 20000, 31999
# tgt has room for four digits of the port of a sheep.
SHORT = (7100, 9999)


def is_free(port, host="127.0.0.1"):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def answers(port, host="127.0.0.1"):
    """True when something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def answers_on_socket(path):
    """True when something accepts connections on that unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0


def free_ports(count, between=(FIRST, LAST)):
    """That many different ports on which nothing listens."""
    found = []
    while len(found) < count:
        port = random.randint(*between)
        if port not in found and is_free(port):
            found.append(port)
    return found
