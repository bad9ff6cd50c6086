// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc9162} from "./Rfc9162.sol";

/// @title CheckpointAnchor: the heads of transparency logs
contract CheckpointAnchor {
    struct Head {
        uint64 size;
        uint64 time;
        bytes32 root;
    }

    mapping(bytes32 logId => mapping(uint64 size => bytes32)) private _heads;

    /// @notice Whether `head` was anchored for `logId`; never reverts.
    function isAnchored(bytes32 logId, Head calldata head) external view returns (bool) {
        return _heads[logId][head.size] == keccak256(abi.encode(head.root, head.time));
    }
}
