// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What anchoring is measured against: each event of a twin in a transaction of its own
/// @notice As cheap as it honestly gets: no owner, no checks, no order.
contract EventStore {
    event Recorded(address indexed by, bytes statement);

    /// @notice Whose statement it was; its place in storage is its hash.
    mapping(bytes32 digest => address) public recorder;

    /// @notice The statement stands in the chain's logs, which contracts cannot read.
    function emitEvent(bytes calldata statement) external {
        emit Recorded(msg.sender, statement);
    }

    /// @notice The statement's hash stands in storage, which contracts can read.
    function storeHash(bytes32 digest) external {
        recorder[digest] = msg.sender;
    }
}
