"""Writing [chain] into twinproof.toml, with everything else in it left as it stands."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twinproof.cli.passwords import new_password
from twinproof.errors import ConfigError

if TYPE_CHECKING:
    from twinproof.node.config import ChainSettings

_SECTION: Final = re.compile(r"^\[chain\][ \t]*(?:#.*)?$", re.MULTILINE)
_NEXT: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)


def change_chain_settings(text: str, settings: dict[str, str | int]) -> str:
    """The document with these keys of [chain] set; comments, order and all other lines stay."""
    found = _SECTION.search(text)
    if found is None:
        text = text.rstrip("\n") + "\n\n[chain]\n"
    elif not text.endswith("\n"):
        text += "\n"
    begin = len(text) if found is None else found.end() + 1
    following = _NEXT.search(text, begin)
    end = following.start() if following else len(text)
    body = text[begin:end]
    new = ""
    for name, value in settings.items():
        said = json.dumps(value)
        line = re.compile(rf'^([ \t]*{name}[ \t]*=[ \t]*)("[^"\n]*"|[0-9]+)', re.MULTILINE)
        body, times = line.subn(lambda match, said=said: match[1] + said, body, count=1)  # type: ignore[misc]
        if not times:
            new += f"{name} = {said}\n"
    return text[:begin] + new + body + text[end:]


def set_up_chain(
    folder: Path, driver: str, url: str | None, chain_id: int | None, password_file: Path | None
) -> tuple[ChainSettings, bytes, int]:
    """Settings, account and, if embedded, the chain itself; the settings, the account's address and the chain's id.

    Raises `ConfigError`, with the settings as they were; a keystore that was made stays.
    """
    from twinproof.log.files import replace_file
    from twinproof.node.chain_setup import open_account, open_chain
    from twinproof.node.config import FILE_NAME, load_config, parse_config

    before = load_config(folder).chain
    if before.driver:
        raise ConfigError(f"{folder} has a chain already ({before.driver}); change [chain] in {FILE_NAME} by hand")
    path = folder / FILE_NAME
    wanted: dict[str, str | int] = {"driver": driver, "url": url or "", "chain_id": chain_id or 0}
    text = change_chain_settings(path.read_text(), wanted)
    try:
        settings = parse_config(tomllib.loads(text), str(path)).chain
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: {problem}; write [chain] into it by hand") from None
    if (settings.driver, settings.url, settings.chain_id) != tuple(wanted.values()):
        raise ConfigError(f"{path}: [chain] is not written in a way that this command can change; do so by hand")
    if driver == "rpc":
        address = _keystore(folder / settings.keystore, password_file)
    else:
        address = open_account(folder, settings).address
        with open_chain(folder, settings) as chain:
            chain_id = chain.chain_id
    replace_file(path, text.encode())
    return settings, address, chain_id or settings.chain_id


def _keystore(path: Path, password_file: Path | None) -> bytes:
    from twinproof.chain.accounts import Account
    from twinproof.chain.keystore import write_keystore
    from twinproof.cli.chain_account import claimed_address

    if path.exists():
        return claimed_address(path)
    password = new_password(path, password_file)
    made = Account.generate()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_keystore(path, made, password)
    return made.address
