"""JSON-RPC 2.0 over a chain: bytes in, bytes out, no I/O of its own. `json_methods` lists what is answered.

    {"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}  ->  {"jsonrpc":"2.0","id":1,"result":"0x7a69"}

| code   | when                                                                                              |
|--------|---------------------------------------------------------------------------------------------------|
| -32700 | not JSON, over the size limit, or nested too deep                                                  |
| -32600 | not a request                                                                                     |
| -32601 | no such method                                                                                    |
| -32602 | parameters that the method does not take, or that ask for more than one answer may hold           |
| -32603 | the chain's storage fails                                                                          |
| -32005 | the requests before have filled the batch's answer, or used up its time: ask again                |
| -32000 | refused: `data.code` is the error's stable code, and the message begins as other nodes' do         |
| 3      | the contract reverted: `data` is the revert data                                                   |
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NoReturn

from twinproof.chain.json_methods import METHODS
from twinproof.chain.model import Chain
from twinproof.errors import (
    BadSignature,
    ChainError,
    LogError,
    Malformed,
    NonceTaken,
    OutOfFunds,
    Reverted,
    TwinproofError,
    Underpriced,
    WrongChain,
)

MAX_REQUEST: Final = 2 * 1024 * 1024
"""Bytes."""
MAX_BATCH: Final = 1000
"""Requests in one body."""
MAX_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of a batch's answer; what lies beyond gets -32005."""
BATCH_SECONDS: Final = 10.0
"""What a batch has not begun by then gets -32005: a thousand calls may each run as much code as a block holds."""
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
REFUSED, FULL, REVERTED = -32000, -32005, 3
_LOG = logging.getLogger(__name__)
_AS_OTHERS_SAY: Final[tuple[tuple[type[TwinproofError], str], ...]] = (
    (NonceTaken, "nonce too low"),
    (Underpriced, "max fee per gas less than block base fee"),
    (OutOfFunds, "insufficient funds for gas * price + value"),
    (WrongChain, "invalid chain id for signer"),
    (BadSignature, "invalid signature"),
)


def answer(chain: Chain, body: bytes, *, monotonic: Callable[[], float] = time.monotonic) -> bytes | None:
    """The answer to a request or to a batch; None if nothing in it wants one (notifications)."""
    if len(body) > MAX_REQUEST:
        return _dump(_failure(None, PARSE_ERROR, f"a request of more than {MAX_REQUEST} bytes"))
    try:
        request = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError):
        return _dump(_failure(None, PARSE_ERROR, "not JSON"))
    if not isinstance(request, list):
        single = _one(chain, request)
        return None if single is None else _dump(single)
    if not 0 < len(request) <= MAX_BATCH:
        return _dump(_failure(None, INVALID_REQUEST, f"a batch holds 1 to {MAX_BATCH} requests"))
    parts: list[bytes] = []
    size = 0
    end = monotonic() + BATCH_SECONDS
    for one in request:
        if size > MAX_ANSWER:
            found: dict[str, Any] | None = _failure(_id(one), FULL, "the batch's answer is full")
        elif monotonic() >= end:
            found = _failure(_id(one), FULL, f"the batch has had its {BATCH_SECONDS:g} seconds; ask again")
        else:
            found = _one(chain, one)
        if found is not None:
            parts.append(_dump(found))
            size += len(parts[-1])
    return b"[" + b",".join(parts) + b"]" if parts else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _failure(identifier: object, code: int, message: str, data: object = None) -> dict[str, Any]:
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": identifier, "error": error}


def _id(request: object) -> object:
    found = request.get("id") if isinstance(request, dict) else None
    if isinstance(found, float):
        return found if isfinite(found) else None  # 1e999 is JSON, and becomes infinite
    return found if isinstance(found, (str, int)) and not isinstance(found, bool) else None


def _one(chain: Chain, request: object) -> dict[str, Any] | None:
    identifier = _id(request)
    wrong = _wrong(request)
    if wrong is not None or not isinstance(request, dict):
        return _failure(identifier, INVALID_REQUEST, wrong or "must be an object")
    found = _call(chain, identifier, request["method"], request.get("params", []))
    return found if "id" in request else None


def _wrong(request: object) -> str | None:
    if not isinstance(request, dict):
        return "a request must be an object"
    if request.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if not isinstance(request.get("method"), str):
        return "method must be text"
    if "id" in request and request["id"] is not None and _id(request) is None:
        return "id must be text, a number or null"
    if not isinstance(request.get("params", []), (list, dict)):
        return "params must be a list"
    return None


def _call(chain: Chain, identifier: object, name: str, params: object) -> dict[str, Any]:
    method = METHODS.get(name)
    if method is None:
        return _failure(identifier, NO_METHOD, f"the method {name[:64]} does not exist or is not available")
    if not isinstance(params, list):
        return _failure(identifier, INVALID_PARAMS, "params must be a list")
    if not method.least <= len(params) <= method.most:
        wanted = f"{method.least}" if method.least == method.most else f"{method.least} to {method.most}"
        return _failure(identifier, INVALID_PARAMS, f"{name} takes {wanted} parameters")
    try:
        return {"jsonrpc": "2.0", "id": identifier, "result": method.run(chain, *params)}
    except Malformed as problem:
        return _failure(identifier, INVALID_PARAMS, str(problem))
    except Reverted as problem:
        return _failure(identifier, REVERTED, f"execution reverted: {problem.reason}", f"0x{problem.data.hex()}")
    except LogError as problem:
        _LOG.error("%s", problem)
        return _failure(identifier, INTERNAL, "the chain's storage fails; its log says more", {"code": problem.code})
    except (ChainError, TwinproofError) as problem:
        said = next((text for kind, text in _AS_OTHERS_SAY if isinstance(problem, kind)), None)
        return _failure(identifier, REFUSED, f"{said}: {problem}" if said else str(problem), {"code": problem.code})
