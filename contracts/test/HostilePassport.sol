// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPartPassport} from "../src/IPartPassport.sol";

/// @title A passport that says what it is told, or breaks
contract HostilePassport {
    enum Manner {
        Answers,
        Reverts,
        BurnsGas,
        Bloats,
        AnswersShort,
        AnswersWide
    }

    Manner public manner;
    mapping(uint256 tokenId => address) public owners;
    mapping(uint256 tokenId => IPartPassport.Part) private _parts;
    mapping(uint256 tokenId => address) private _receivers;
    mapping(uint256 tokenId => uint64) private _expiries;

    function behave(Manner manner_) external {
        manner = manner_;
    }

    function set(uint256 tokenId, address owner, bytes32 partNumber, address to, uint64 expires) external {
        owners[tokenId] = owner;
        _parts[tokenId].partNumber = partNumber;
        (_receivers[tokenId], _expiries[tokenId]) = (to, expires);
    }

    function ownerOf(uint256 tokenId) external view returns (address owner) {
        Manner how = manner;
        owner = owners[tokenId];
        if (how == Manner.Answers) return owner;
        if (how == Manner.Reverts) revert("gone");
        if (how == Manner.BurnsGas) {
            while (true) owner = address(uint160(uint256(keccak256(abi.encode(owner)))));
        }
        assembly {
            if eq(how, 3) { return(0, 90000) }
            if eq(how, 4) { return(0, 31) }
            mstore(0, or(owner, shl(160, 1)))
            return(0, 32)
        }
    }

    function partOf(uint256 tokenId) external view returns (IPartPassport.Part memory) {
        return _parts[tokenId];
    }

    function offerOf(uint256 tokenId) external view returns (address, uint64) {
        return (_receivers[tokenId], _expiries[tokenId]);
    }
}
