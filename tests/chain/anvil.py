"""A real EVM node for tests: foundry's anvil, run directly, on a port of its own, in a folder of its own."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx

from twinproof.chain.accounts import Account
from twinproof.chain.hexadecimal import format_address, keccak

BINARY = Path(__file__).resolve().parents[2] / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
CHAIN_ID = 31337
ETHER = 10**18


class Anvil:
    """One running node. `stop` and `start` again keep the chain if it was given a state file."""

    def __init__(
        self, state: Path | None = None, *, chain_id: int = CHAIN_ID, port: int = 0, options: tuple[str, ...] = ()
    ):
        self._state = state
        self._options = options
        self.chain_id = chain_id
        self.port = port
        self._process: subprocess.Popen[str] | None = None
        self._client = httpx.Client(trust_env=False, timeout=20)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(BINARY), "--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(self.chain_id)]
        if self._state is not None:
            command += ["--state", str(self._state)]
        process = subprocess.Popen(
            [*command, "--accounts", "1", *self._options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._process = process
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Listening on "):
                self.port = int(line.rsplit(":", 1)[1])
                break
        else:
            raise AssertionError(f"anvil did not start: {''.join(said)}")
        # Its pipe must never fill up.
        self._reader = threading.Thread(target=process.stdout.read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End it; a state file is then written."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; nothing is written."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._reader.join(20)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._client.close()

    def rpc(self, method: str, *parameters: Any) -> Any:
        """A JSON-RPC call, whatever Twinproof's own client thinks."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = self._client.post(self.url, json=body).json()
        assert "error" not in answer, answer
        return answer["result"]

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.rpc("evm_mine")

    def fund(self, address: bytes, wei: int = 100 * ETHER) -> None:
        self.rpc("anvil_setBalance", format_address(address), hex(wei))

    def account(self, name: str = "operator", wei: int = 100 * ETHER) -> Account:
        """An account with a key from its name, and with money."""
        account = Account(keccak(name.encode()))
        self.fund(account.address, wei)
        return account
