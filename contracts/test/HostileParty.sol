// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A party that is a contract, a wallet, which may reject coin, or call back when it gets some
contract HostileParty {
    bool public rejects;
    address public hook;
    bytes public hookData;
    bytes public hookAnswer;
    bool public hookPassed;
    uint256 public received;

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
}
