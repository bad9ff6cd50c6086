"""Real processes for the demonstration: a node that serves, can be killed and comes back; commands on their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import twinproof
from twinproof.errors import InternalError, Unreachable

PATIENCE: Final = 180
"""Seconds that a process may take to start, to stop, or to do what it was called for."""


def _environment() -> dict[str, str]:
    """This package for the child too, and its output in letters that this terminal can show."""
    package = str(Path(twinproof.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    encoding = sys.stdout.encoding or "utf-8"
    path = package if not inherited else f"{package}{os.pathsep}{inherited}"
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": encoding}


def run_command(*arguments: str, cwd: Path, expect: int = 0) -> str:
    """Run `twinproof ARGUMENTS` as its own process; its output. Raises `InternalError` for another exit code."""
    return run_process(*arguments, cwd=cwd, expect=expect).stdout


def run_process(*arguments: str, cwd: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """The same, with all that it left: refusals stand on standard error."""
    done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - this program itself
        [sys.executable, "-m", "twinproof", *arguments],
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        encoding=sys.stdout.encoding or "utf-8",
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != expect:
        raise InternalError(
            f"twinproof {' '.join(arguments)} ended with {done.returncode}, not {expect}: {done.stderr or done.stdout}"
        )
    return done


class NodeProcess:
    """`twinproof serve` in a process of its own, on a free port that it keeps over restarts."""

    def __init__(self, folder: Path, port: str = "0") -> None:
        self.folder = folder
        self.url = ""
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start and wait until it listens; raises `Unreachable` if it does not."""
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "twinproof", "serve", str(self.folder), "--port", self.port, "--json"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        stdout, stderr = self._process.stdout, self._process.stderr
        line = stdout.readline() if stdout else ""
        if not line:
            raise Unreachable(f"the node did not start: {stderr.read().strip() if stderr else ''}")
        self.url = str(json.loads(line)["listening"])
        self.port = self.url.rsplit(":", 1)[1]

    def wait(self) -> None:
        """Until it ends by itself."""
        if self._process is not None:
            self._process.wait()

    def kill(self) -> None:
        """SIGKILL: what a power cut looks like to the process."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return self._end()

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode


class Child:
    """`twinproof ARGUMENTS` as a process that goes on; what it prints is collected as it comes."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._name = f"twinproof {' '.join(arguments)}"
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-m", "twinproof", *arguments],
            cwd=cwd,
            env={**_environment(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding=sys.stdout.encoding or "utf-8",
        )
        self._thread = threading.Thread(target=self._collect, name=arguments[0], daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        stdout = self._process.stdout
        if stdout is not None:
            for line in stdout:
                with self._news:
                    self._lines.append(line.rstrip())
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def lines(self) -> list[str]:
        """What it has printed so far."""
        with self._news:
            return list(self._lines)

    def wait_for(self, text: str) -> str:
        """The first line with `text` in it; raises `InternalError` if none comes."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._ended, PATIENCE)
            line = found()
        if line is None:
            raise InternalError(f"{self._name} printed no {text!r}, but: {self.lines}")
        return line

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()
