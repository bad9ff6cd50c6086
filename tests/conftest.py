"""What all tests share: where the foreign vectors lie, and hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of foreign vectors and public data; it is not part of the repository.

    Without it the tests that need it are skipped on a user's machine and fail in CI.
    """
    folder = Path(os.environ.get("TWINPROOF_SHARED", _REPOSITORY.parent / "shared"))
    if folder.is_dir():
        return folder
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs the folder of vectors and data at {folder}")
    pytest.skip(f"no vectors and data at {folder}; set TWINPROOF_SHARED to run this test")
