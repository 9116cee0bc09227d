"""A second host on this machine: a network, a host name and folders of its own, and an ssh server in them.

The network is a pair of virtual interfaces, one end in a namespace of its own. The folders of sessions, in which a kernel
lays down what it compiles, are empty there, as on a machine that shares no folder with this one. Only root can make all
this; it is gone with the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# Networks for documentation (RFC 5737); one that this machine has no address in is taken.
NETWORKS = ("198.51.100", "203.0.113", "192.0.2")
NAME = "forkline-node2"
INTERFACES = ("flnode1", "flnode2")
NEEDED = ("ip", "unshare", "ssh", "ssh-keygen", "sshd", "mpiexec", "mpicc")


def missing() -> str | None:
    """Why there can be no second host; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a second host is made of namespaces, which only root can make"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    lacking = [program for program in NEEDED if shutil.which(program, path=path) is None]
    if lacking:
        return f"missing: {', '.join(lacking)} (apt-get install openssh-server iproute2 openmpi-bin libopenmpi-dev libclang-dev)"
    return None


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def free_network() -> str:
    taken = run("ip", "-4", "-o", "addr")
    return next(network for network in NETWORKS if f" {network}." not in taken)


class SecondHost:
    def __init__(self, folder: Path, hidden: Path) -> None:
        self.folder = folder
        self.hidden = hidden
        self.remove_network()
        self.network = free_network()
        self.here, self.there = f"{self.network}.1", f"{self.network}.2"
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        run("ip", "netns", "add", NAME)
        run("ip", "link", "add", INTERFACES[0], "type", "veth", "peer", "name", INTERFACES[1], "netns", NAME)
        run("ip", "addr", "add", f"{self.here}/24", "dev", INTERFACES[0])
        run("ip", "link", "set", INTERFACES[0], "up")
        inside = ("ip", "netns", "exec", NAME)
        run(*inside, "ip", "addr", "add", f"{self.there}/24", "dev", INTERFACES[1])
        run(*inside, "ip", "link", "set", INTERFACES[1], "up")
        run(*inside, "ip", "link", "set", "lo", "up")
        for key in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / key))
        (self.folder / "sshd_config").write_text(
            f"ListenAddress {self.there}\n"
            f"HostKey {self.folder}/host\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\n"
            "StrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\n"
        )
        (self.folder / "ssh_config").write_text(
            f"IdentityFile {self.folder}/user\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
        )
        (self.folder / "hosts").write_text(f"{self.here} slots=1\n{self.there} slots=1\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path="/usr/sbin:/sbin:" + os.environ["PATH"])
        assert sshd
        script = f"hostname node2; mount -t tmpfs none {self.hidden}; exec {sshd} -D -e -f {self.folder}/sshd_config"
        self.server = subprocess.Popen(
            [*inside, "unshare", "--uts", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "sshd.log").open("wb"),
        )
        for _ in range(100):
            if "node2" in self.shell("hostname", check=False):
                return
            time.sleep(0.1)
        raise RuntimeError(f"no answer by ssh: {(self.folder / 'sshd.log').read_text()}")

    def shell(self, command: str, check: bool = True) -> str:
        """What a command says there."""
        return run("ssh", "-F", str(self.folder / "ssh_config"), self.there, command, check=check)

    def environment(self) -> dict[str, str]:
        """What Open MPI has to know to get there, and to stay on this network."""
        return {
            "OMPI_MCA_plm_rsh_agent": f"ssh -F {self.folder}/ssh_config",
            "OMPI_MCA_oob_tcp_if_include": f"{self.network}.0/24",
            "OMPI_MCA_btl_tcp_if_include": f"{self.network}.0/24",
        }

    def processes(self, word: str) -> list[int]:
        """Process ids of that host whose command line has the word."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                is_there = (entry / "ns/net").stat().st_ino == self.namespace().st_ino
            except OSError:
                continue
            if is_there and word in line:
                found.append(int(entry.name))
        return found

    def namespace(self) -> os.stat_result:
        return Path("/run/netns", NAME).stat()

    def remove_network(self) -> None:
        run("ip", "netns", "del", NAME, check=False)
        run("ip", "link", "del", INTERFACES[0], check=False)

    def stop(self) -> None:
        for pid in self.processes("") if Path("/run/netns", NAME).exists() else []:
            try:
                os.kill(pid, 9)
            except OSError:
                continue
        if self.server is not None:
            self.server.kill()
            self.server.wait()
        self.remove_network()
