// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Rfc9162} from "./Rfc9162.sol";

/// @title The heads of transparency logs, each proved to extend the one before
/// @notice An anchored head is a block's word that the log had this root no later than at that time, and that every
/// later anchored head contains it: a fork is refused. Nobody can change or remove a head, the log's owner included.
/// @dev Of each anchored head one slot is kept, `keccak256(root, time)`; root and time are in the event.
contract CheckpointAnchor is EIP712 {
    /// @notice An anchored head.
    struct Head {
        /// @dev The number of the log's entries, at least 1.
        uint64 size;
        /// @dev When it was anchored: the block's time, POSIX seconds.
        uint64 time;
        /// @dev The root of the tree of `size` leaves (RFC 9162).
        bytes32 root;
    }

    /// @dev The first three share a slot, the only one that anchoring changes beside that of the head.
    struct Log {
        uint64 size;
        uint64 time;
        uint64 count;
        address owner;
        address next;
        mapping(uint64 size => bytes32) heads;
    }

    /// @notice A log with this origin was registered by this sender before.
    error AlreadyRegistered(bytes32 logId);
    /// @notice A log needs an owner.
    error NoOwner();
    /// @notice The sender is not the log's owner; or there is no such log.
    error NotOwner(bytes32 logId, address sender);
    /// @notice The log was not offered to the sender.
    error NotOffered(bytes32 logId, address sender);
    /// @notice The signature is not the owner's over these very heads.
    error BadOwnerSignature(bytes32 logId);
    /// @notice `old` is not the latest head; that has this size.
    error NotLatest(bytes32 logId, uint64 size);
    /// @notice The new size is not above the latest.
    error NotNewer(bytes32 logId, uint64 size);

    /// @notice A log has an id and an owner from now on.
    event LogRegistered(bytes32 indexed logId, address indexed owner, string origin);
    /// @notice A new owner accepted the log.
    event LogTransferred(bytes32 indexed logId, address indexed from, address indexed to);
    /// @notice A head was anchored. It and the head before it are consistent.
    event Anchored(bytes32 indexed logId, uint64 indexed size, bytes32 root, uint64 time);

    bytes32 private constant HEAD_TYPE = keccak256("Head(uint64 size,uint64 time,bytes32 root)");
    bytes32 private constant ANCHOR_TYPE = keccak256(
        "Anchor(bytes32 logId,Head old,uint64 size,bytes32 root)Head(uint64 size,uint64 time,bytes32 root)"
    );

    mapping(bytes32 logId => Log) private _logs;

    constructor() EIP712("Twinproof CheckpointAnchor", "1") {}

    /// @notice Take the id of a log; it depends on the sender, so nobody takes another's.
    /// @param origin The log's name (the first line of its checkpoints).
    /// @param owner Who anchors its heads.
    /// @return logId `keccak256(abi.encode(origin, msg.sender))`.
    function register(string calldata origin, address owner) external returns (bytes32 logId) {
        if (owner == address(0)) revert NoOwner();
        logId = keccak256(abi.encode(origin, msg.sender));
        Log storage log = _logs[logId];
        if (log.owner != address(0)) revert AlreadyRegistered(logId);
        log.owner = owner;
        emit LogRegistered(logId, owner, origin);
    }

    /// @notice Offer the log to another owner, who takes over on accepting. The zero address withdraws an offer.
    function transferLog(bytes32 logId, address to) external {
        Log storage log = _logs[logId];
        if (log.owner != msg.sender) revert NotOwner(logId, msg.sender);
        log.next = to;
    }

    /// @notice Accept an offered log.
    function acceptLog(bytes32 logId) external {
        Log storage log = _logs[logId];
        if (log.next != msg.sender) revert NotOffered(logId, msg.sender);
        emit LogTransferred(logId, log.owner, msg.sender);
        log.owner = msg.sender;
        log.next = address(0);
    }

    /// @notice Anchor a newer head of one's log.
    /// @param logId The log.
    /// @param old The latest anchored head, all zero before the first.
    /// @param size The new number of entries, above that of `old`.
    /// @param root The root of the tree of `size` leaves.
    /// @param proof The consistency proof (RFC 9162 section 2.1.4) from `old` to the new head; empty for the first.
    function anchor(bytes32 logId, Head calldata old, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        if (_logs[logId].owner != msg.sender) revert NotOwner(logId, msg.sender);
        _anchor(logId, old, size, root, proof);
    }

    /// @notice The same for anybody with the owner's signature.
    /// @dev EIP-712 type `Anchor(bytes32 logId,Head old,uint64 size,bytes32 root)` with
    /// `Head(uint64 size,uint64 time,bytes32 root)`. It can be used once: after that, `old` is not the latest head.
    /// @param signature By the owner's key (65 bytes), or what the owner's contract accepts (ERC-1271).
    function anchorSigned(
        bytes32 logId,
        Head calldata old,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof,
        bytes calldata signature
    ) external {
        bytes32 head = keccak256(abi.encode(HEAD_TYPE, old.size, old.time, old.root));
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ANCHOR_TYPE, logId, head, size, root)));
        if (!SignatureChecker.isValidSignatureNowCalldata(_logs[logId].owner, digest, signature)) {
            revert BadOwnerSignature(logId);
        }
        _anchor(logId, old, size, root, proof);
    }

    /// @notice Whether this head was anchored; false for an unknown log, never reverts.
    function isAnchored(bytes32 logId, Head calldata head) external view returns (bool) {
        return _logs[logId].heads[head.size] == _hash(head.root, head.time);
    }

    /// @notice The latest anchored head without its root, and how many there are; all zero before the first.
    /// @return size The number of entries.
    /// @return time When it was anchored, POSIX seconds.
    /// @return count The number of anchored heads.
    function latest(bytes32 logId) external view returns (uint64 size, uint64 time, uint64 count) {
        Log storage log = _logs[logId];
        return (log.size, log.time, log.count);
    }

    /// @notice Who anchors the log's heads; zero if it is not registered.
    function ownerOf(bytes32 logId) external view returns (address) {
        return _logs[logId].owner;
    }

    function _anchor(bytes32 logId, Head calldata old, uint64 size, bytes32 root, bytes32[] calldata proof) private {
        Log storage log = _logs[logId];
        uint64 known = log.size;
        if (size <= known) revert NotNewer(logId, known);
        if (known != 0) {
            if (old.size != known || log.heads[known] != _hash(old.root, old.time)) revert NotLatest(logId, known);
            Rfc9162.checkConsistency(known, size, old.root, root, proof);
        } else {
            if (old.size | old.time != 0 || old.root != 0) revert NotLatest(logId, 0);
            if (proof.length != 0 || size >= 1 << 63) revert Rfc9162.BadConsistencyProof();
        }
        uint64 time = uint64(block.timestamp);
        log.size = size;
        log.time = time;
        ++log.count;
        log.heads[size] = _hash(root, time);
        emit Anchored(logId, size, root, time);
    }

    function _hash(bytes32 root, uint64 time) private pure returns (bytes32) {
        return keccak256(abi.encode(root, time));
    }
}
