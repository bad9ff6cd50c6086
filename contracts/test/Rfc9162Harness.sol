// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc9162} from "../src/Rfc9162.sol";

/// @title The library's functions, one by one and many at once
contract Rfc9162Harness {
    struct Inclusion {
        bytes32 leaf;
        uint64 index;
        uint64 size;
        bytes32 root;
        bytes32[] proof;
    }

    struct Consistency {
        uint64 oldSize;
        uint64 newSize;
        bytes32 oldRoot;
        bytes32 newRoot;
        bytes32[] proof;
    }

    function hashLeaf(bytes calldata entry) external view returns (bytes32) {
        return Rfc9162.hashLeaf(entry);
    }

    function checkInclusion(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata proof, bytes32 root)
        external
        view
    {
        Rfc9162.checkInclusion(leaf, index, size, proof, root);
    }

    function checkConsistency(
        uint64 oldSize,
        uint64 newSize,
        bytes32 oldRoot,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view {
        Rfc9162.checkConsistency(oldSize, newSize, oldRoot, newRoot, proof);
    }

    /// @notice For each claim a byte: 1 if the proof holds, 0 if it was refused with the library's error.
    function inclusions(Inclusion[] calldata claims) external view returns (bytes memory results) {
        results = new bytes(claims.length);
        for (uint256 i; i < claims.length; ++i) {
            Inclusion calldata claim = claims[i];
            try this.checkInclusion(claim.leaf, claim.index, claim.size, claim.proof, claim.root) {
                results[i] = 0x01;
            } catch (bytes memory reason) {
                if (bytes4(reason) != Rfc9162.BadInclusionProof.selector) results[i] = 0xff;
            }
        }
    }

    /// @notice The same for consistency.
    function consistencies(Consistency[] calldata claims) external view returns (bytes memory results) {
        results = new bytes(claims.length);
        for (uint256 i; i < claims.length; ++i) {
            Consistency calldata claim = claims[i];
            try this.checkConsistency(claim.oldSize, claim.newSize, claim.oldRoot, claim.newRoot, claim.proof) {
                results[i] = 0x01;
            } catch (bytes memory reason) {
                if (bytes4(reason) != Rfc9162.BadConsistencyProof.selector) results[i] = 0xff;
            }
        }
    }

    /// @notice The gas of a check alone, without what the transaction costs.
    function inclusionGas(Inclusion calldata claim) external view returns (uint256 used) {
        used = gasleft();
        Rfc9162.checkInclusion(claim.leaf, claim.index, claim.size, claim.proof, claim.root);
        used -= gasleft();
    }

    /// @notice The same for consistency.
    function consistencyGas(Consistency calldata claim) external view returns (uint256 used) {
        used = gasleft();
        Rfc9162.checkConsistency(claim.oldSize, claim.newSize, claim.oldRoot, claim.newRoot, claim.proof);
        used -= gasleft();
    }
}
