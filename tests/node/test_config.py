"""Settings: what is refused, with the file and the key in the message; what is written is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import ConfigError
from twinproof.log.writer import MAX_GROUP, MAX_GROUP_BYTES
from twinproof.node.config import (
    FILE_NAME,
    Access,
    ChainSettings,
    Config,
    Limits,
    Listen,
    check_origin,
    format_config,
    load_config,
)

GOOD = 'origin = "twin.example/log0"\n'

REFUSED = {
    "not UTF-8": (b"\xff", "utf-8"),
    "not TOML": (b"origin = ", "Invalid value"),
    "a key twice": ((GOOD * 2).encode(), "Cannot overwrite"),
    "nested without end": (b"x = " + b"[" * 100_000, "recursion"),
    "empty": (b"", "origin is missing"),
    "origin a number": (b"origin = 7", "origin is missing or not text"),
    "origin empty": (b'origin = ""', "origin:"),
    "origin with a space": (b'origin = "twin example"', "origin:"),
    "origin with a plus": (b'origin = "twin+example"', "origin:"),
    "origin with a line feed": (b'origin = "twin\\nexample"', "origin:"),
    "origin with a quote": (b'origin = "twin\\"example"', "origin:"),
    "origin too long": (b'origin = "' + b"x" * 256 + b'"', "origin:"),
    "unknown key": ((GOOD + "colour = 1").encode(), "unknown key 'colour'"),
    "unknown table": ((GOOD + "[listening]\nport = 1").encode(), "unknown key 'listening'"),
    "listen a number": ((GOOD + "listen = 1").encode(), "listen is not a table"),
    "limits an array": ((GOOD + "limits = []").encode(), "limits is not a table"),
    "unknown limit": (
        (GOOD + "[limits]\nmax_batches = 1").encode(),
        "limits.max_batches is unknown; known are max_batch,",
    ),
    "host a number": ((GOOD + "[listen]\nhost = 1").encode(), "listen.host must be str, not 1"),
    "host empty": ((GOOD + '[listen]\nhost = ""').encode(), "listen.host is empty"),
    "port as text": ((GOOD + '[listen]\nport = "80"').encode(), "listen.port must be int"),
    "port true": ((GOOD + "[listen]\nport = true").encode(), "listen.port must be int"),
    "port negative": ((GOOD + "[listen]\nport = -1").encode(), "listen.port must be 0..65535"),
    "port over 65535": ((GOOD + "[listen]\nport = 65536").encode(), "listen.port must be 0..65535"),
    "rate as float": ((GOOD + "[limits]\nrate = 1.5").encode(), "limits.rate must be int"),
    "rate negative": ((GOOD + "[limits]\nrate = -1").encode(), "limits.rate must be 0.."),
    "rate beyond floats": ((GOOD + f"[limits]\nrate = {10**400}").encode(), "limits.rate must be 0.."),
    "no batches": ((GOOD + "[limits]\nmax_batch = 0").encode(), "limits.max_batch must be 1..8192"),
    "batch over a commit": ((GOOD + f"[limits]\nmax_batch = {MAX_GROUP + 1}").encode(), "limits.max_batch must be"),
    "request over a commit": (
        (GOOD + f"[limits]\nmax_request_bytes = {MAX_GROUP_BYTES + 1}").encode(),
        "limits.max_request_bytes must be",
    ),
    "group over a commit": (
        (GOOD + f"[limits]\ngroup_statements = {MAX_GROUP + 1}").encode(),
        "limits.group_statements must be",
    ),
    "open as text": ((GOOD + '[access]\nopen = "yes"').encode(), "access.open must be bool, not 'yes'"),
    "unknown access": ((GOOD + "[access]\nclosed = true").encode(), "access.closed is unknown; known are open,"),
    "issuer alone": ((GOOD + '[access]\nissuer = "https://x"').encode(), "access.audience is missing: issuer,"),
    "keys without issuer": ((GOOD + '[access]\njwks = "x"\naudience = "y"').encode(), "access.issuer is missing"),
    "keys over http": (
        (GOOD + '[access]\nissuer = "i"\naudience = "a"\njwks = "http://x/jwks"').encode(),
        "access.jwks must be an https URL or a file",
    ),
    "no claim": ((GOOD + '[access]\nclaim = ""').encode(), "access.claim is empty"),
    "a small access log": ((GOOD + "[access]\ndenied_log_bytes = 1").encode(), "access.denied_log_bytes must be"),
    "log format": ((GOOD + '[log]\nformat = "xml"').encode(), "log.format must be one of text, json, not 'xml'"),
    "log level": ((GOOD + '[log]\nlevel = "loud"').encode(), "log.level must be one of debug,"),
    "no rows": ((GOOD + "[forecast]\nevery_rows = 0").encode(), "forecast.every_rows must be 1.."),
    "seconds ago": ((GOOD + "[forecast]\nevery_seconds = -1").encode(), "forecast.every_seconds must be 0.."),
    "chain driver": ((GOOD + '[chain]\ndriver = "eth"').encode(), "chain.driver must be one of , embedded, rpc"),
    "rpc without url": ((GOOD + '[chain]\ndriver = "rpc"').encode(), "chain.url must be an http or https URL"),
    "rpc at a file": ((GOOD + '[chain]\ndriver = "rpc"\nurl = "file:///x"').encode(), "chain.url must be"),
    "rpc without chain": (
        (GOOD + '[chain]\ndriver = "rpc"\nurl = "http://127.0.0.1:1"').encode(),
        "chain.chain_id is missing",
    ),
    "url without rpc": ((GOOD + '[chain]\nurl = "http://127.0.0.1:1"').encode(), "chain.url belongs to driver rpc"),
    "id of the embedded chain": (
        (GOOD + '[chain]\ndriver = "embedded"\nchain_id = 5').encode(),
        "chain.chain_id belongs to driver rpc",
    ),
    "chain id too large": ((GOOD + f"[chain]\nchain_id = {1 << 63}").encode(), "chain.chain_id must be 0.."),
    "never anchored": ((GOOD + "[chain]\nanchor_every_seconds = 0").encode(), "chain.anchor_every_seconds must be"),
    "no fee": ((GOOD + "[chain]\nmax_fee = 0").encode(), "chain.max_fee must be 1.."),
    "no keystore": ((GOOD + '[chain]\nkeystore = ""').encode(), "chain.keystore is empty"),
    "a speaker without an address": (
        (GOOD + '[chain]\nspeakers = "0x12, *"').encode(),
        "chain.speakers: '0x12' is not 0x and 40 hexadecimal digits",
    ),
    "events as a number": ((GOOD + "[chain]\nevents = 1").encode(), "chain.events must be bool"),
    "no time for bodies": ((GOOD + "[limits]\nbody_seconds = 0").encode(), "limits.body_seconds must be 1..3600"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_settings_name_file_and_key(tmp_path: Path, name: str) -> None:
    text, fragment = REFUSED[name]
    (tmp_path / FILE_NAME).write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / FILE_NAME))
    assert fragment in str(caught.value)


def test_a_folder_that_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make one with: twinproof init"):
        load_config(tmp_path)
    with pytest.raises(ConfigError, match="make one with: twinproof init"):
        load_config(tmp_path / "nowhere")
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigError, match=f"{FILE_NAME}: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        load_config(tmp_path / "file")


def test_defaults_and_changes(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(GOOD)
    assert load_config(tmp_path) == Config("twin.example/log0", Listen(), Limits())
    (tmp_path / FILE_NAME).write_text(GOOD + '[listen]\nhost = "::1"\nport = 0\n[limits]\nrate = 0\nburst = 7\n')
    assert load_config(tmp_path) == Config("twin.example/log0", Listen("::1", 0), Limits(rate=0, burst=7))


@given(
    st.text(min_size=1, max_size=40).filter(lambda text: "\x7f" not in text),
    st.integers(0, 65535),
    st.integers(0, 1 << 53),
    st.sampled_from([None, True, False]),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, host: str, port: int, rate: int, open_: bool | None
) -> None:
    config = Config(
        "täst.example/log-0", Listen(host, port), Limits(rate=rate), Access(open=open_), chain=ChainSettings("embedded")
    )
    folder = tmp_path_factory.mktemp("node")
    (folder / FILE_NAME).write_bytes(format_config(config).encode())
    assert load_config(folder) == config


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "x\n", "a\x00", "x" * 256, "a\u202eb", "a<b", "ü" * 128])
def test_origins_that_cannot_name_a_log(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"origin.*use a name like twin\.example/log0"):
        check_origin(origin)
