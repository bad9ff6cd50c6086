"""Evidence inside the page that checks it: one HTML file for somebody who has nothing else."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path
from typing import Final

import click

import twinproof

WEB: Final = Path(twinproof.__file__).parent / "server" / "web"
"""Where `make console` puts the files that a node serves."""
PAGE: Final = "verify.html"
"""In the folder of the built console."""
MARK: Final = b"<!--evidence-->"
"""Where the built page takes evidence in."""


def read_page(path: Path | None = None) -> bytes:
    """The page as it was built; raises a usage error that says how to get it."""
    if path is None:
        path = WEB / PAGE
    try:
        page = path.read_bytes()
    except OSError:
        raise click.UsageError(
            "The verifying page is not built. From a copy of the repository, with Node.js, `make console` builds it; "
            "a wheel made by `make dist` holds it."
        ) from None
    if page.count(MARK) != 1:
        raise click.UsageError(f"{path} is not the verifying page; build it again: make console")
    return page


def fill_page(page: bytes, name: str, evidence: bytes, policy: bytes | None) -> bytes:
    """The page with evidence and perhaps a policy inside: data that no browser runs, so the script's hash holds."""
    blocks = [f'<script type="application/octet-stream" id="evidence" data-name="{escape(name)}">'.encode()]
    blocks += [b64encode(evidence), b"</script>"]
    if policy is not None:
        blocks += [b'<script type="application/octet-stream" id="policy">', b64encode(policy), b"</script>"]
    return page.replace(MARK, b"".join(blocks))
