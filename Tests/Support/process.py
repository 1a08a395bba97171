"""What /proc says about a process that we started."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def _stat_fields(pid):
    """The fields of /proc/PID/stat behind the name, which may hold blanks: field 0 is the state."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def is_running(pid):
    """False when it has ended, also when nobody has waited for it yet."""
    try:
        return _stat_fields(pid)[0] not in "ZX"
    except OSError:
        return False


def is_program(pid, executable):
    """True when that process runs that executable: a process id from a file may have been given to another since."""
    try:
        running = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return False
    return Path(running).name == Path(executable).name and is_running(pid)


def cpu_seconds(pid):
    """User and system time together."""
    fields = _stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def open_sockets(pid):
    """Sockets that the process has open; a sheep also keeps files of objects open, which no client can make it hold for long."""
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass  # closed meanwhile
    return count


def storage_bytes_written(pid):
    """Bytes that the process has made dirty in files since it began."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        key, value = line.split(": ")
        if key == "write_bytes":
            return int(value)
    raise ValueError(f"/proc/{pid}/io has no write_bytes")
