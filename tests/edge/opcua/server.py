"""A real OPC UA server in a process of its own, told by lines of JSON what to do; `Server` is its other end.

{"set": {"n1": 5.0}, "time": 1700000000.0, "status": 0}     write values with this source time and status
{"sweep": 3, "first": 0, "pause": 0.05}                     write 3 rounds of all numbers; round r gives r * 1000 + n
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

START = 1_700_000_000.0
NODES = 500
TEXTS = {"text": "a", "on": False, "list": [1.0, 2.0]}


class Server:
    """The process."""

    def __init__(self, port: int, *security: str) -> None:
        self.port = port
        self.url = f"opc.tcp://127.0.0.1:{port}/"
        self._security = security
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(self.port), *self._security],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.kill()
            raise AssertionError("the OPC UA server did not start")
        return self

    def tell(self, **command: Any) -> None:
        """Give a command and wait until it is done."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def restore(self) -> None:
        """Running, with the values of the beginning."""
        if self._process is None:
            self.start()
        else:
            self.tell(set={f"n{number}": -1.0 for number in range(NODES)} | TEXTS, time=START - 1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None


# --- in the process -------------------------------------------------------------------------


async def _serve(port: int, security: list[str]) -> None:
    import asyncua

    ua: Any = asyncua.ua
    server: Any = asyncua.Server()  # type: ignore[attr-defined]
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    if security:
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(security[0])
        await server.load_private_key(security[1])
    space = await server.register_namespace("urn:test:plant")
    folder = await server.nodes.objects.add_folder(space, "plant")
    nodes: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    initial = {f"n{number}": -1.0 for number in range(NODES)} | TEXTS
    for name, value in initial.items():
        nodes[name] = await folder.add_variable(ua.NodeId(name, space), name, value)
        kinds[name] = (await nodes[name].read_data_value()).Value.VariantType

    async def write(name: str, value: Any, time: float, status: int) -> None:
        stamp = datetime.fromtimestamp(time, UTC).replace(tzinfo=None)
        variant = None if value is None else ua.Variant(value, kinds[name])
        data = ua.DataValue(Value=variant, StatusCode=ua.StatusCode(status), SourceTimestamp=stamp)
        await server.write_attribute_value(nodes[name].nodeid, data)

    for name, value in initial.items():
        await write(name, value, START - 1, 0)
    async with server:
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command = json.loads(line)
            for name, value in command.get("set", {}).items():
                await write(name, value, command.get("time", START), command.get("status", 0))
            for turn in range(command.get("first", 0), command.get("first", 0) + command.get("sweep", 0)):
                for number in range(NODES):
                    await write(f"n{number}", float(turn * 1000 + number), START + turn, 0)
                await asyncio.sleep(command.get("pause", 0))
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2:]))
