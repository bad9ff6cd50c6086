// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title An ERC-20 that misbehaves as it is told
contract HostileToken is ERC20 {
    enum Manner {
        Honest,
        AnswersFalse,
        AnswersNothing,
        TakesFee,
        Reverts,
        Vanishes,
        Bloats
    }

    Manner public manner;
    address public hook;
    bytes public hookData;
    bytes public hookAnswer;
    bool public hookPassed;

    constructor() ERC20("Hostile", "HST") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function behave(Manner manner_) external {
        manner = manner_;
    }

    /// What to call during each transfer.
    function setHook(address to, bytes calldata data) external {
        (hook, hookData) = (to, data);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (manner == Manner.Reverts) revert("no");
        if (manner == Manner.AnswersFalse) return false;
        if (manner == Manner.Vanishes) return true;
        if (hook != address(0)) (hookPassed, hookAnswer) = hook.call(hookData);
        _transfer(from, to, amount);
        if (manner == Manner.TakesFee) _burn(to, amount / 10);
        if (manner == Manner.Bloats) _burn(to, balanceOf(to));
        if (manner == Manner.AnswersNothing) {
            assembly {
                return(0, 0)
            }
        }
        return true;
    }
}
