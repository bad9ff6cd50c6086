"""One node process per module; tests leave the log longer than they found it and compare with before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.process import Served, make_folder, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = serve(make_folder(tmp_path_factory.mktemp("served") / "node", rate=0))
    try:
        yield running
    finally:
        running.client.close()
        assert running.node.stop() == 0
