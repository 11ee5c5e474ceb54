"""A real Dask cluster on loopback: a scheduler and workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

READY = 60.0  # seconds; they start slowly on a machine that is busy


class RealCluster:
    """A scheduler, and the workers that were added; all end with it. Their log is in `folder`; env: of the scheduler."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.log = (folder / "log").open("w")
        self.processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--scheduler-file", str(file), env=env)
        until(lambda: file.exists() and file.read_text().endswith("}"), self)
        self.address: str = json.loads(file.read_text())["address"]

    def start(self, kind: str, *options: str, env: dict[str, str]) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{kind}",
            *options,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
        ]
        process = subprocess.Popen(
            command, cwd=self.folder, env={**os.environ, **env}, stdout=self.log, stderr=subprocess.STDOUT
        )
        self.processes.append(process)
        return process

    def add(self, count: int = 1, threads: int = 1, **env: str) -> "list[subprocess.Popen[bytes]]":
        """Start workers and return their processes once the scheduler knows them."""
        there = self.count()
        kernels = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # nobody compiles anew
        options = (self.address, "--nthreads", str(threads), "--no-nanny", "--local-directory", str(self.folder))
        made = [
            self.start("worker", *options, env={"HOME": str(self.folder), "XDG_CACHE_HOME": kernels, **env})
            for _ in range(count)
        ]
        until(lambda: self.count() == there + count, self)
        return made

    def count(self) -> int:
        return self.ask(lambda client: len(client.nthreads()))

    def ask(self, question: Any) -> Any:
        """Return what a client of the scheduler answers."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout=READY) as client:
            return question(client)

    def kill(self, *processes: "subprocess.Popen[bytes]") -> None:
        for process in processes:
            process.kill()
            process.wait()

    def close(self) -> None:
        self.kill(*self.processes)
        self.log.close()


def until(true: Any, cluster: RealCluster) -> None:
    deadline = time.monotonic() + READY
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError((cluster.folder / "log").read_text())
        time.sleep(0.05)
