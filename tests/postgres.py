"""A PostgreSQL server for tests, from Debian's package, in a directory that goes with it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

BINARIES = Path("/usr/lib/postgresql")
"""Where Debian and Ubuntu keep them, by major version; not on PATH."""
USER = "postgres"


class Cluster:
    """One server, listening on a socket in its directory only."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self.directory = directory

    def start(self) -> None:
        """Start, and return when it answers."""
        self._control("start", "-w", "-l", str(self.directory / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop as a restart would: sessions are cut off, what was committed is kept."""
        self._control("stop", "-w", "-m", mode)

    def database(self) -> str:
        """A DSN under which nothing is there yet: of a schema of its own, which is made at once."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self._dsn(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self._dsn()}&options=-csearch_path%3D{name}"

    def _dsn(self) -> str:
        return f"postgresql://{USER}@/postgres?host={self.directory}"

    def _control(self, *arguments: str) -> None:
        self.run("pg_ctl", "-D", str(self.directory / "data"), *arguments)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs as a user who may."""
        # It refuses to work for root. Output goes to a file: a server would keep a pipe open.
        root = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.directory / "output").open("w+") as output:
            done = subprocess.run(
                [self._binaries / program, *arguments],
                check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60,
                cwd=self.directory, **root,
            )  # fmt: skip
            output.seek(0)
            assert done.returncode == 0, output.read()


def binaries() -> Path | None:
    """The programs of the newest version that is installed."""
    found = sorted(BINARIES.glob("*/bin/initdb"), key=lambda each: float(each.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def running(programs: Path, *, fsync: bool = False) -> Iterator[Cluster]:
    """A cluster that is up; without `fsync` it loses with the machine's power what it has."""
    directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # paths of sockets must be short
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, USER, USER)
        cluster = Cluster(programs, directory)
        cluster.run("initdb", "-D", str(directory / "data"), "-U", USER, "-A", "trust", "-N",
                    "-E", "UTF8", "--locale=C")  # fmt: skip
        with (directory / "data" / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{directory}'\n"
                f"fsync = {'on' if fsync else 'off'}\nmax_connections = 200\n"
            )
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(directory)
