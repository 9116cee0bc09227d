"""A Slurm cluster of two nodes on this machine: a controller, two node daemons, and munge with a key of its own.

All files lie in one folder, all ports are free ones, and the daemons are gone with the test. Only root can start them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
NEEDED = ("munged", "slurmctld", "slurmd", "srun", "salloc", "setpriv", "mpiexec", "mpicc")


def missing() -> str | None:
    """Why there can be no cluster; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the daemons of Slurm are started by root"
    lacking = [program for program in NEEDED if shutil.which(program, path=PATH) is None]
    if lacking:
        return f"missing: {', '.join(lacking)} (apt-get install slurm-wlm openmpi-bin libopenmpi-dev libclang-dev)"
    return None


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        folder, host = self.folder, socket.gethostname()
        munge = folder / "munge"
        for name in ("munge", "state", "tmp.n1", "tmp.n2"):
            (folder / name).mkdir()
        key = munge / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for path in (munge, key):
            shutil.chown(path, "munge", "munge")
        # munge insists on folders that others may pass through, up to the root.
        for path in (munge, folder, *folder.parents):
            if path != Path("/") and path.owner() == "root" and path.stat().st_mode & 0o111 != 0o111:
                path.chmod(path.stat().st_mode | 0o111)
        ports = free_ports(3)
        nodes = "".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 State=UNKNOWN\n"
            for name, port in zip(("n1", "n2"), ports[1:])
        )
        (folder / "slurm.conf").write_text(
            f"ClusterName=forkline\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={ports[0]}\nSlurmUser=root\n"
            f"AuthType=auth/munge\nAuthInfo=socket={munge}/socket\nCredType=cred/munge\n"
            f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool.%n\nTmpFS={folder}/tmp.%n\n"
            f"SlurmctldPidFile={folder}/ctld.pid\nSlurmdPidFile={folder}/d.%n.pid\n"
            f"SlurmctldLogFile={folder}/ctld.log\nSlurmdLogFile={folder}/d.%n.log\n"
            "ProctrackType=proctrack/pgid\nTaskPlugin=task/none\nSelectType=select/cons_tres\n"
            "SelectTypeParameters=CR_CPU\nMpiDefault=pmix\nReturnToService=2\n"
            f"{nodes}PartitionName=all Nodes=n1,n2 Default=YES OverSubscribe=FORCE:4 State=UP\n"
        )
        self.daemon(
            "setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", "--foreground",
            f"--key-file={key}", f"--socket={munge}/socket", f"--pid-file={munge}/pid", f"--seed-file={munge}/seed",
        )  # fmt: skip
        self.wait(lambda: (munge / "socket").exists(), "munge")
        self.daemon("slurmctld", "-D", "-i")
        for name in ("n1", "n2"):
            self.daemon("slurmd", "-D", "-N", name)
        self.wait(lambda: self.ask("sinfo", "-h", "-o", "%D %t") == "2 idle", "two idle nodes")

    def daemon(self, *command: str) -> None:
        log = (self.folder / "daemons.log").open("ab")
        daemon = subprocess.Popen(
            command, env=os.environ | self.environment | {"PATH": PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        self.daemons.append(daemon)

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, timeout=20)
        return done.stdout.strip()

    def wait(self, condition, what: str) -> None:
        for _ in range(300):
            if condition():
                return
            time.sleep(0.1)
        raise RuntimeError(f"no {what}: {(self.folder / 'daemons.log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(2)
            except subprocess.TimeoutExpired:
                daemon.kill()
