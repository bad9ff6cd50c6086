"""`python -m twinproof`: the command line."""

from __future__ import annotations

from twinproof.cli import main

if __name__ == "__main__":
    main()
