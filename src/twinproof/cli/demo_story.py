"""The demonstration's chapters. Each one does something real and leaves what it found in the summary."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import click

from twinproof.cli.demo_chain import tell_chain
from twinproof.cli.demo_device import DELIVERY, Device
from twinproof.cli.demo_forecast import BASE, FIRST_FLIGHT
from twinproof.cli.demo_guide import link_of, open_console
from twinproof.cli.demo_live import LiveChapter
from twinproof.cli.demo_node import NodeProcess, run_command
from twinproof.cli.demo_stage import NODE, PASSWORD
from twinproof.cli.fleet import Fleet
from twinproof.cli.output import count, mark, progress
from twinproof.cli.remote import RemoteLog
from twinproof.cli.target import read_authority, say
from twinproof.edge.outbox import Outbox
from twinproof.edge.recorder import Recorder
from twinproof.edge.sinks import HttpSink
from twinproof.errors import InternalError, StreamStopped, TwinproofError
from twinproof.exchange.cmapss.layout import Snapshot
from twinproof.node import keyring
from twinproof.node.node import DATABASE, init_node
from twinproof.proof.checkpoint import parse_checkpoint
from twinproof.proof.note import parse_note
from twinproof.proof.policy import parse_policy
from twinproof.twin.grants import REVOKE, Revocation, format_revocation, log_subject
from twinproof.twin.statement import parse_statement

ORIGIN: Final = "fleet.example/log0"
OPERATOR: Final = "https://fleet.example/operator"

Engines = Mapping[int, Sequence[Snapshot]]


class Story:
    """Tells the story in `folder`; a context manager that leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        dataset: str,
        engines: Engines,
        deviceless: Engines,
        history: Engines,
        source: str,
        *,
        quiet: bool,
        browser: bool = False,
    ) -> None:
        """`engines` get devices, `deviceless` a gateway; of `history` one joins late; a model learns from the rest."""
        self.folder = folder
        self.engines = engines
        self.deviceless = deviceless
        self.history = history
        self.source = source
        self.quiet = quiet
        self.browser = browser
        """Whether to open the console in this machine's browser."""
        self.link = ""
        self.dataset = dataset
        self.node = NodeProcess(folder / "node")
        self.auditor = folder / "auditor"
        self.summary: dict[str, Any] = {"source": source, "engines": len(engines)}
        self._chapter = 0

    @property
    def port(self) -> str:
        """Of the node, whichever copy of it runs."""
        return self.node.port

    def __enter__(self) -> Story:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.node.stop()

    def tell(self) -> dict[str, Any]:
        """All chapters, in order; the summary."""
        self.begin()
        with closing(HttpSink(self.node.url)) as sink, closing(RemoteLog(self.node.url)) as log:
            self.fleet = Fleet(sink, self.dataset, BASE, FIRST_FLIGHT, self.folder / "devices")
            self.sink, self.log = sink, log
            self.grant()
            self.fly()
            self.prove_one_flight()
            self.audit()
            self.forge_the_file()
            LiveChapter(self, self.deviceless, self.node.url, BASE, FIRST_FLIGHT).tell()
            self.revoke()
        self.alter_the_database()
        tell_chain(self, ORIGIN, self.fleet.engine(next(iter(self.engines))).twin, self.history)
        return self.summary

    def stay(self) -> None:
        """Serve the node once more, for whoever looks around in the console, until Ctrl-C."""
        folder = self.folder / NODE
        if self.summary["chain"]:
            account = ("supplier", "--account", "supplier.json", "--password-file", PASSWORD)
            run_command("chain", "account", "hold", *account, "--folder", NODE, cwd=self.folder)
        self.node = NodeProcess(folder, self.port)
        self.node.start()
        click.echo(click.style("\nThe console is open", bold=True) + "   (Ctrl-C ends it)")
        click.echo(f"  {self.link}")
        # However it ends, the node ends too, and the folder goes.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            self.node.wait()

    # --- telling ---

    def chapter(self, title: str) -> None:
        self._chapter += 1
        if not self.quiet:
            click.echo("\n" + click.style(f"{self._chapter}  {title}", bold=True))

    def line(self, text: str = "", *, passed: bool | None = None) -> None:
        if not self.quiet:
            sign = "" if passed is None else f"{mark(passed)} "
            click.echo(f"   {sign}{text}")

    def shell(self, *arguments: str, cwd: Path, expect: int = 0, show: Sequence[str] = ()) -> str:
        """Run a command as its own process and show it with its output, or just lines that hold one of `show`."""
        self.line(click.style(f"$ twinproof {' '.join(arguments)}", fg="cyan"))
        output = run_command(*arguments, cwd=cwd, expect=expect)
        for line in output.splitlines():
            if line.strip() and (not show or any(text in line for text in show)):
                self.line(f"  {line}")
        return output

    # --- the chapters ---

    def begin(self) -> None:
        self.chapter("An operator starts a log")
        init_node(self.node.folder, ORIGIN, OPERATOR)
        run_command("alarm", "enable", "--folder", "node", cwd=self.folder)
        open_console(self.node.folder)
        self.node.start()
        self.line(f"{ORIGIN}, served by process {self.node.pid} on {self.node.url}")
        self.link = link_of(self.node)
        self.summary["console"] = f"{self.node.url}/console/"
        self.line("Watch all that follows in its console:")
        self.line(click.style(self.link, underline=True))
        if self.browser and not webbrowser.open(self.link):
            self.line("No browser was found here; open the link yourself.")
        self.line("Its first entry is the genesis: it names the log's keys and the operator's key.")

    def grant(self) -> None:
        self.chapter(f"{count(len(self.engines), 'engine')} get devices with keys of their own")
        operator = keyring.read_private_key(self.node.folder / "keys" / "operator.pem")
        granted = self.fleet.grant(operator, read_authority(self.log), ORIGIN, list(self.engines))
        for unit in self.engines:
            engine = self.fleet.engine(unit)
            self.line(f"{engine.card.issuer} may record and describe {engine.twin}")
        self.line("Each grant is a statement in the log, signed by the operator.")
        self.summary["grants"] = granted

    def fly(self) -> None:
        total = sum(len(rows) + 1 for rows in self.engines.values())
        self.chapter("The engines fly: each flight is signed on board, and the node is killed in the middle")
        self.line(f"Flights: {self.source}")
        keys = [item.key for item in parse_policy((self.node.folder / "policy.txt").read_bytes()).logs]
        outboxes = self.folder / "devices"
        devices = [
            Device(self.fleet.engine(unit), flights, self.dataset, self.node.url, outboxes / f"{unit}.outbox", keys)
            for unit, flights in self.engines.items()
        ]
        began = time.monotonic()
        with progress("   Recording") as report:
            for device in devices:
                device.start()
            seen = self._wait_for(devices, total // 3, total, report)
            pid = self.node.pid
            self.node.kill()
            self.node.start()
            self._wait_for(devices, total, total, report)
        for device in devices:
            device.finish()
        seconds = time.monotonic() - began
        size = parse_checkpoint(parse_note(self.log.checkpoint()).text).size
        # The genesis and the grants of the node's automation and of its console stand before the devices' own.
        expected = 3 + self.summary["grants"] + total
        if size != expected:
            raise InternalError(f"the log has {size} entries, {expected} were recorded")
        self.line(f"Process {pid} got SIGKILL after {count(seen, 'acknowledged statement')}; a new one took over.")
        self.line(f"{count(total, 'statement')} recorded in {seconds:.1f} s, each in the log exactly once", passed=True)
        self.line("Every acknowledgement brought a receipt that the device verified with the log's key.")
        self.summary |= {
            "statements": total,
            "killed_after": seen,
            "recording_seconds": round(seconds, 2),
            "log_size": size,
        }

    def _wait_for(self, devices: Sequence[Device], goal: int, total: int, report: Callable[[int, int], None]) -> int:
        deadline = time.monotonic() + DELIVERY
        while (seen := sum(device.acknowledged for device in devices)) < goal:
            if time.monotonic() > deadline:
                problems = "; ".join(str(problem) for device in devices for problem in device.problems)
                raise InternalError(f"delivered {seen} of {total} statements in {DELIVERY:.0f} s: {problems}")
            report(seen, total)
            time.sleep(0.02)
        return seen

    def prove_one_flight(self) -> None:
        unit = next(iter(self.engines))
        engine = self.fleet.engine(unit)
        own = self.log.about(engine.twin)
        index, raw = own[len(own) // 2]
        self.chapter(f"One flight is proved to a stranger: entry {index} of the log")
        one = self.folder / "one-flight"
        one.mkdir()
        for name, data in (
            ("flight.statement", raw),
            ("flight.cose", self.log.transparent(index)),
            ("flight.tlog-proof", self.log.tlog_proof(index)),
            ("policy.txt", (self.node.folder / "policy.txt").read_bytes()),
            ("device.json", engine.card.to_json().encode()),
        ):
            (one / name).write_bytes(data)
        policy = ("--policy", "policy.txt")
        self.shell("verify", "flight.cose", *policy, "--signer", "device.json", cwd=one, show=["✓", "ok  ", "VERIFIED"])
        self.shell(
            *("verify", "flight.tlog-proof", "--statement", "flight.statement", *policy),
            cwd=one,
            show=["✓", "ok  ", "VERIFIED"],
        )
        self.summary["proved_entry"] = index

    def audit(self) -> None:
        engine = self.fleet.engine(next(iter(self.engines)))
        self.chapter("An auditor gets one file, and checks an engine's whole life offline, in a process of its own")
        self.auditor.mkdir()
        bundle = self.log.bundle(engine.twin)
        (self.auditor / "engine.twinproof").write_bytes(bundle)
        for name in ("policy.txt", "operator.json"):
            shutil.copy(self.node.folder / name, self.auditor / name)
        shutil.copy(self.auditor / "operator.json", self.folder / "operator.json")
        self.shell(
            *("verify", "engine.twinproof", "--policy", "policy.txt", "--operator", "operator.json"), cwd=self.auditor
        )
        self.summary["bundle_bytes"] = len(bundle)

    def forge_the_file(self) -> None:
        engine = self.fleet.engine(next(iter(self.engines)))
        own = self.log.about(engine.twin)
        index, raw = own[len(own) // 3]
        self.chapter(f"Somebody changes one byte of entry {index} in that file")
        bundle = (self.auditor / "engine.twinproof").read_bytes()
        forged = _flip(bundle, bundle.index(raw) + raw.index(parse_statement(raw).payload) + 60)
        (self.auditor / "forged.twinproof").write_bytes(forged)
        output = self.shell(
            *("verify", "forged.twinproof", "--policy", "policy.txt"),
            cwd=self.auditor,
            expect=1,
            show=["✗", "FAIL", "entry", "root"],
        )
        self._must_name(output, index)
        self.summary["forged_entry_named"] = index

    def revoke(self) -> None:
        unit = list(self.engines)[-1]
        engine = self.fleet.engine(unit)
        self.chapter("A device is lost, and the operator revokes its grant")
        operator = keyring.read_private_key(self.node.folder / "keys" / "operator.pem")
        grants = read_authority(self.log).grants.values()
        lost = next(grant for grant in grants if grant.terms.key == engine.card.key)
        payload = format_revocation(Revocation(lost.id, "device lost"))
        index, _ = say(self.sink, operator, OPERATOR, log_subject(ORIGIN), REVOKE, payload)
        self.line(f"Entry {index} revokes the grant of {engine.card.issuer}. Whoever found it tries to record:")
        problems: list[TwinproofError] = []
        with Outbox(self.folder / "devices" / f"{unit}.outbox") as outbox:
            recorder = Recorder(engine.key, engine.card.issuer, outbox, self.sink, on_problem=problems.append)
            recorder.twin(engine.twin).record({"T24": 642.0}, units={"T24": "[degR]"})
            recorder.close()
        stopped = next((problem for problem in problems if isinstance(problem, StreamStopped)), None)
        if stopped is None or stopped.reason != "revoked":
            raise InternalError(f"the revoked device was not refused: {problems}")
        self.line(f"refused by the log: {stopped.reason}", passed=True)
        self.line("What the device said before stays valid: a revocation never rewrites the past.")
        self.summary["revoked_device_refused"] = True

    def alter_the_database(self) -> None:
        self.node.stop()
        engine = self.fleet.engine(next(iter(self.engines)))
        self.chapter("The operator's own database is altered by one byte, while the node is down")
        sound, database = self.folder / "sound", self.node.folder / DATABASE
        shutil.copytree(self.node.folder, sound)
        with closing(sqlite3.connect(database)) as connection, connection:
            rows = connection.execute("SELECT idx, data FROM entry ORDER BY idx").fetchall()
            about = [(index, raw) for index, raw in rows if parse_statement(raw).subject == engine.twin]
            index, raw = about[2 * len(about) // 3]
            altered = _flip(raw, raw.index(parse_statement(raw).payload) + 60)
            connection.execute("UPDATE entry SET data = ? WHERE idx = ?", (altered, index))
        output = self.shell("fsck", "node", cwd=self.folder, expect=1)
        self._must_name(output, index)
        self.line("The verifier, given a bundle made from that database, says the same:")
        run_command("prove", engine.twin, "--folder", "node", "-o", "altered.twinproof", cwd=self.folder)
        output = self.shell(
            *("verify", "altered.twinproof", "--policy", "auditor/policy.txt"),
            cwd=self.folder,
            expect=1,
            show=["✗", "FAIL", "entry", "root"],
        )
        self._must_name(output, index)
        self.summary["altered_entry_named"] = index

    def _must_name(self, output: str, index: int) -> None:
        if f"entry {index}" not in output:
            raise InternalError(f"entry {index} was altered and is not named in: {output}")


def _flip(data: bytes, at: int) -> bytes:
    """`data` with the lowest bit of one byte turned."""
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
