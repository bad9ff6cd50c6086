// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CheckpointAnchor} from "./CheckpointAnchor.sol";
import {Rfc9162} from "./Rfc9162.sol";

/// @title Claims about twins, kept where contracts can ask for them
/// @notice The shape of the Ethereum Attestation Service: schemas, attestations that name one, revocation by who made
/// them. An attestation may point into a log; a proven one was checked against an anchored head.
contract Attestations {
    /// @notice What is to be attested.
    struct Request {
        /// @dev A registered schema.
        bytes32 schema;
        /// @dev The twin: SHA-256 of its IRI.
        bytes32 twin;
        /// @dev The first second at which it no longer holds, POSIX; 0: it has no end.
        uint64 expires;
        /// @dev Another attestation that this one refers to; 0: none.
        bytes32 refUid;
        /// @dev The log of the statement behind it, an id of the CheckpointAnchor; 0: none.
        bytes32 logId;
        /// @dev The leaf hash of that statement; 0: none.
        bytes32 leaf;
        /// @dev ABI-encoded fields of the schema. Public for ever: nothing personal or confidential.
        bytes data;
    }

    /// @notice What was attested.
    struct Attestation {
        bytes32 schema;
        bytes32 twin;
        /// @dev Who says so.
        address attester;
        /// @dev The block's time, POSIX seconds.
        uint64 time;
        bytes32 refUid;
        bytes32 logId;
        bytes32 leaf;
        /// @dev As in the request.
        uint64 expires;
        /// @dev When it was revoked; 0: it was not.
        uint64 revoked;
        /// @dev When the head was anchored that was shown to contain the leaf; 0: none was shown.
        uint64 anchored;
        bytes data;
    }

    /// @notice A kind of attestation.
    struct Schema {
        bool registered;
        /// @dev Whether its attestations can be revoked.
        bool revocable;
        /// @dev The fields of the data as Solidity declares them, e.g. `string standard,uint64 inspected`.
        string fields;
    }

    /// @notice This very schema is there already.
    error AlreadyRegistered(bytes32 uid);
    /// @notice There is no such schema.
    error UnknownSchema(bytes32 uid);
    /// @notice There is no such attestation.
    error UnknownAttestation(bytes32 uid);
    /// @notice It would have expired already.
    error Expired(uint64 expires);
    /// @notice The head was not anchored for this log.
    error NotAnchored(bytes32 logId, uint64 size);
    /// @notice Only its attester revokes an attestation.
    error NotAttester(bytes32 uid, address sender);
    /// @notice The schema does not provide for revoking.
    error Irrevocable(bytes32 uid);
    /// @notice It is revoked already.
    error AlreadyRevoked(bytes32 uid);

    /// @notice A schema can be used from now on.
    event SchemaRegistered(bytes32 indexed uid, address indexed by, string schema, bool revocable);
    /// @notice Something was attested; `anchored` as in the attestation.
    event Attested(
        bytes32 indexed uid,
        bytes32 indexed schema,
        bytes32 indexed twin,
        address attester,
        bytes32 logId,
        bytes32 leaf,
        uint64 anchored
    );
    /// @notice An attestation no longer holds.
    event Revoked(bytes32 indexed uid, address indexed attester, uint64 time);

    /// @notice The contract whose heads proven attestations rest on.
    CheckpointAnchor public immutable anchors;

    mapping(bytes32 uid => Schema) private _schemas;
    mapping(bytes32 uid => Attestation) private _attestations;
    uint256 private _count;

    constructor(CheckpointAnchor anchors_) {
        anchors = anchors_;
    }

    /// @notice Register a schema; anybody may, and anybody may use it.
    /// @param schema The fields of the data as Solidity declares them; may be empty.
    /// @param revocable Whether attestations of it can be revoked.
    /// @return uid `keccak256(abi.encode(schema, revocable))`.
    function registerSchema(string calldata schema, bool revocable) external returns (bytes32 uid) {
        uid = keccak256(abi.encode(schema, revocable));
        if (_schemas[uid].registered) revert AlreadyRegistered(uid);
        _schemas[uid] = Schema(true, revocable, schema);
        emit SchemaRegistered(uid, msg.sender, schema, revocable);
    }

    /// @notice Attest something under one's own address; what the log holds is not looked at.
    /// @return uid The attestation's id.
    function attest(Request calldata request) external returns (bytes32 uid) {
        return _attest(request, 0);
    }

    /// @notice The same, with the proof that the log contains the leaf.
    /// @param head A head that was anchored for the request's log.
    /// @param index The leaf's place in the log, from 0.
    /// @param path The inclusion proof (RFC 9162 section 2.1.3) of the leaf in the tree of `head`.
    /// @return uid The attestation's id.
    function attestProven(
        Request calldata request,
        CheckpointAnchor.Head calldata head,
        uint64 index,
        bytes32[] calldata path
    ) external returns (bytes32 uid) {
        if (!anchors.isAnchored(request.logId, head)) revert NotAnchored(request.logId, head.size);
        Rfc9162.checkInclusion(request.leaf, index, head.size, path, head.root);
        return _attest(request, head.time);
    }

    /// @notice Take back an attestation that one made.
    function revoke(bytes32 uid) external {
        Attestation storage found = _attestations[uid];
        if (found.attester == address(0)) revert UnknownAttestation(uid);
        if (found.attester != msg.sender) revert NotAttester(uid, msg.sender);
        if (!_schemas[found.schema].revocable) revert Irrevocable(uid);
        if (found.revoked != 0) revert AlreadyRevoked(uid);
        found.revoked = uint64(block.timestamp);
        emit Revoked(uid, msg.sender, uint64(block.timestamp));
    }

    /// @notice The attestation; all zero if there is none.
    function getAttestation(bytes32 uid) external view returns (Attestation memory) {
        return _attestations[uid];
    }

    /// @notice The schema; all zero if there is none.
    function getSchema(bytes32 uid) external view returns (Schema memory) {
        return _schemas[uid];
    }

    /// @notice Whether the attestation exists, is not revoked and has not expired at this block's time.
    /// @dev It says nothing about the attestation that this one refers to.
    function isValid(bytes32 uid) external view returns (bool) {
        Attestation storage found = _attestations[uid];
        return found.attester != address(0) && found.revoked == 0
            && (found.expires == 0 || block.timestamp < found.expires);
    }

    function _attest(Request calldata request, uint64 anchored) private returns (bytes32 uid) {
        if (!_schemas[request.schema].registered) revert UnknownSchema(request.schema);
        if (request.expires != 0 && request.expires <= block.timestamp) revert Expired(request.expires);
        if (request.refUid != 0 && _attestations[request.refUid].attester == address(0)) {
            revert UnknownAttestation(request.refUid);
        }
        // The counter makes the id unique: the same thing may be attested twice.
        uid = keccak256(abi.encode(block.chainid, address(this), msg.sender, _count++, request));
        _attestations[uid] = Attestation({
            schema: request.schema,
            twin: request.twin,
            attester: msg.sender,
            time: uint64(block.timestamp),
            refUid: request.refUid,
            logId: request.logId,
            leaf: request.leaf,
            expires: request.expires,
            revoked: 0,
            anchored: anchored,
            data: request.data
        });
        emit Attested(uid, request.schema, request.twin, msg.sender, request.logId, request.leaf, anchored);
    }
}
