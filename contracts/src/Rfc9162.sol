// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle proofs of RFC 9162 section 2.1 over SHA-256
/// @notice `leaf = SHA-256(0x00 || entry)`, `node = SHA-256(0x01 || left || right)`. Sizes and indices are below 2^63
/// (spec/log.md). Checks return nothing and revert.
/// @dev The loops are those of sections 2.1.3.2 and 2.1.4.2. They run on the tree's height, not on the proof's length:
/// a step beyond the proof's end reads whatever calldata follows, and the one comparison at the end refuses it.
library Rfc9162 {
    /// @notice The proof does not lead from the leaf at this index to the root of this size.
    error BadInclusionProof();
    /// @notice The tree of the new size does not extend that of the old size, or the proof does not show it.
    error BadConsistencyProof();

    /// @notice The leaf hash of a log entry.
    /// @param entry The entry's bytes.
    function hashLeaf(bytes calldata entry) internal view returns (bytes32 leaf) {
        bool done;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0)
            calldatacopy(add(free, 1), entry.offset, entry.length)
            // Arguments are evaluated from right to left: the call comes before the size of what it returned.
            done := and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, free, add(entry.length, 1), 0x00, 0x20))
            leaf := mload(0x00)
        }
        if (!done) revert BadInclusionProof();
    }

    /// @notice Refuse unless `leaf` is at `index` in the tree of `size` leaves with `root` (RFC 9162 section 2.1.3.2).
    /// @param leaf The entry's leaf hash.
    /// @param index The entry's place, from 0.
    /// @param size The number of leaves.
    /// @param proof The hashes from the leaf's sibling upwards.
    /// @param root The root of the tree of `size` leaves.
    function checkInclusion(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata proof, bytes32 root)
        internal
        view
    {
        bool valid = index < size && size < 1 << 63;
        assembly ("memory-safe") {
            let free := mload(0x40)
            let result := leaf
            let at := proof.offset
            let fn := index
            let sn := mul(valid, sub(size, 1))
            mstore8(free, 1)
            for {} sn {} {
                switch or(and(fn, 1), eq(fn, sn))
                case 0 {
                    mstore(add(free, 0x01), result)
                    mstore(add(free, 0x21), calldataload(at))
                }
                default {
                    mstore(add(free, 0x01), calldataload(at))
                    mstore(add(free, 0x21), result)
                    // fn is not 0 here: it is odd, or it equals sn.
                    for {} iszero(and(fn, 1)) {} {
                        fn := shr(1, fn)
                        sn := shr(1, sn)
                    }
                }
                valid := and(valid, and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, free, 0x41, 0x00, 0x20)))
                result := mload(0x00)
                at := add(at, 0x20)
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            valid := and(valid, and(eq(at, add(proof.offset, shl(5, proof.length))), eq(result, root)))
        }
        if (!valid) revert BadInclusionProof();
    }

    /// @notice Refuse unless the tree of `newSize` extends that of `oldSize` (RFC 9162 section 2.1.4.2).
    /// @dev Equal sizes need equal roots and an empty proof. From size 0 nothing can be proved, so it is refused.
    /// @param oldSize The number of leaves of the old tree, at least 1.
    /// @param newSize The number of leaves of the new tree, at least `oldSize`.
    /// @param oldRoot The old tree's root.
    /// @param newRoot The new tree's root.
    /// @param proof The hashes of section 2.1.4.1 in their order.
    function checkConsistency(
        uint64 oldSize,
        uint64 newSize,
        bytes32 oldRoot,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) internal view {
        bool valid = oldSize != 0 && oldSize <= newSize && newSize < 1 << 63;
        assembly ("memory-safe") {
            let free := mload(0x40)
            let at := proof.offset
            let fn := 0
            let sn := 0
            if valid {
                fn := sub(oldSize, 1)
                sn := sub(newSize, 1)
            }
            // Equal sizes: the result is the old root itself and no hash is read.
            if eq(fn, sn) {
                fn := 0
                sn := 0
            }
            for {} and(fn, 1) {} {
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            let oldResult := oldRoot
            // Unless the old tree is complete, the proof begins with its last complete subtree.
            if fn {
                oldResult := calldataload(at)
                at := add(at, 0x20)
            }
            let newResult := oldResult
            mstore8(free, 1)
            for {} sn {} {
                switch or(and(fn, 1), eq(fn, sn))
                case 0 {
                    mstore(add(free, 0x01), newResult)
                    mstore(add(free, 0x21), calldataload(at))
                }
                default {
                    mstore(add(free, 0x01), calldataload(at))
                    mstore(add(free, 0x21), oldResult)
                    valid := and(
                        valid, and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, free, 0x41, 0x00, 0x20))
                    )
                    oldResult := mload(0x00)
                    mstore(add(free, 0x21), newResult)
                    for {} iszero(and(fn, 1)) {} {
                        fn := shr(1, fn)
                        sn := shr(1, sn)
                    }
                }
                valid := and(valid, and(eq(returndatasize(), 0x20), staticcall(gas(), 0x02, free, 0x41, 0x00, 0x20)))
                newResult := mload(0x00)
                at := add(at, 0x20)
                fn := shr(1, fn)
                sn := shr(1, sn)
            }
            valid := and(valid, eq(at, add(proof.offset, shl(5, proof.length))))
            valid := and(valid, and(eq(oldResult, oldRoot), eq(newResult, newRoot)))
        }
        if (!valid) revert BadConsistencyProof();
    }
}
