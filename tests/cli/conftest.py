"""Commands run in this process through click's runner; nodes that serve run in their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.chain_rig import PASSWORD, Parties, set_up
from tests.cli.rig import Cli, make_node
from twinproof.cli.demo_node import NodeProcess


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def template(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_node(cli, tmp_path_factory.mktemp("nodes") / "node")


@pytest.fixture
def node(template: Path, tmp_path: Path) -> Path:
    """A copy of the node of its own for each test."""
    return Path(shutil.copytree(template, tmp_path / "node"))


@pytest.fixture
def serve() -> Iterator[Callable[[Path], NodeProcess]]:
    """Serve a folder in a process that ends with the test."""
    running: list[NodeProcess] = []

    def start(folder: Path) -> NodeProcess:
        process = NodeProcess(folder)
        running.append(process)
        process.start()
        return process

    yield start
    for process in running:
        process.stop()


@pytest.fixture(scope="module")
def parties(cli: Cli, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    """A node with a chain, and a supplier; shared by the tests of a module."""
    folder = Path(shutil.copytree(template, tmp_path_factory.mktemp("chain") / "node"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PASSWORD.items():
            patch.setenv(name, value)
        yield set_up(cli, folder)
