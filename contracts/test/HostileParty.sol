// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A party that is a contract: a wallet (ERC-1271), which may reject coin, or call back when it gets some
contract HostileParty is IERC1271 {
    address public immutable signer;
    bool public rejects;
    address public hook;
    bytes public hookData;
    bytes public hookAnswer;
    bool public hookPassed;
    uint256 public received;

    constructor(address signer_) payable {
        signer = signer_;
    }

    receive() external payable {
        if (rejects) revert("not taken");
        ++received;
        if (hook != address(0)) (hookPassed, hookAnswer) = hook.call(hookData);
    }

    function setRejects(bool rejects_) external {
        rejects = rejects_;
    }

    /// What to call on each receipt of coin.
    function setHook(address to, bytes calldata data) external {
        (hook, hookData) = (to, data);
    }

    function run(address to, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        (bool passed, bytes memory answer) = to.call{value: value}(data);
        if (!passed) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recover(hash, signature) == signer ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
