"""One sheep: where it lives, how it is started, how it ends."""

import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import ports
import process
from waiting import wait_until


@dataclass
class Sheep:
    """Started in the foreground it is our child and dies with us; started as a daemon it stays."""

    program: Path
    directory: Path
    number: int
    port: int
    nbd_port: int
    extra_options: list = field(default_factory=list)
    # Where it listens; `entry` are the words that bring a command onto the host that has this address.
    host: str = "127.0.0.1"
    entry: list = field(default_factory=list)
    # The words before its own command alone.
    wrapper: list = field(default_factory=list)
    key: Path = None
    pid: int = 0
    child: subprocess.Popen = None
    environment: dict = field(default_factory=dict)

    @property
    def store(self):
        return self.directory / f"sheep{self.number}"

    @property
    def nbd_socket(self):
        return self.directory / f"nbd{self.number}.sock"

    @property
    def pid_file(self):
        return self.directory / f"sheep{self.number}.pid"

    @property
    def log(self):
        return self.directory / f"sheep{self.number}.log"

    def tcp(self, volume=""):
        return f"nbd://{self.host}:{self.nbd_port}/{quote(volume)}"

    def unix(self, volume=""):
        return f"nbd+unix:///{quote(volume)}?socket={self.nbd_socket}"

    def command(self):
        return [
            *self.entry, *self.wrapper, str(self.program), "-b", self.host, "-p", str(self.port), "-z", str(self.number + 1),
            "-c", f"local:{self.directory}",
            "--nbd", f"{self.host}:{self.nbd_port}", "--nbd-socket", str(self.nbd_socket),
            *(["--key", str(self.key)] if self.key else []), *self.extra_options,
        ]

    def start(self):
        """Starts it as our child; setpriv sees to it that it ends when we do, however we end."""
        self.store.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command(), "-f", "-l", "dst=stdout", str(self.store)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment})
        self.pid = self.child.pid

    def start_daemon(self):
        """Starts it so that it stays when we end. Returns when it listens; raises RuntimeError with what it printed."""
        self.store.mkdir(parents=True, exist_ok=True)
        command = [*self.command(), "-P", str(self.pid_file), "-l", f"dir={self.store}", str(self.store)]
        with open(self.log, "wb") as log:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60)
        if result.returncode != 0:
            said = self.log.read_text(errors="replace").strip()
            raise RuntimeError(f"`{' '.join(command)}` ended with {result.returncode}:\n{said}")
        self.pid = self.daemon_pid()

    def daemon_pid(self):
        """The process id of the daemon that runs on this store, or 0."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return 0
        return pid if process.is_program(pid, self.program) else 0

    def is_running(self):
        if self.child is not None:
            return self.child.poll() is None
        return self.pid != 0 and process.is_running(self.pid)

    def wait_listening(self, timeout=30.0):
        def listens():
            if not self.is_running():
                raise RuntimeError(f"sheep {self.number} has ended; its log {self.log} ends with:\n{self.log_tail()}")
            if self.entry:
                # Its unix socket, which it opens last, is seen from every network namespace.
                return ports.answers_on_socket(self.nbd_socket)
            return ports.answers(self.port) and ports.answers(self.nbd_port)
        wait_until(listens, f"sheep {self.number} listens on ports {self.port} and {self.nbd_port}", timeout)

    def signal(self, number):
        if self.is_running():
            os.kill(self.pid, number)

    def wait_ended(self, timeout=30.0):
        wait_until(lambda: not self.is_running(), f"sheep {self.number} has ended", timeout)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait_ended()

    def log_tail(self, lines=20):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"


def start_all(*sheep):
    for s in sheep:
        s.start()
    for s in sheep:
        s.wait_listening()


def kill_all(*sheep):
    """At once, as a power cut of their machines would: none lives long enough to see another one's end and to log it."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for s in sheep:
            s.signal(number)
    for s in sheep:
        s.wait_ended()
