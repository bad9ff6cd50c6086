// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";/// @title Statements (spec/statement.md): COSE_Sign1 in deterministic CBOR, signed with ES256
/// @notice A statement has exactly one encoding; anything else reverts. Of texts the length is checked and nothing else:
/// names are compared by hash, so a name that the log would refuse equals none that it took.
/// @dev A parser over calldata without bounds checks at each read: places only ascend, what is read beyond the end is
/// other calldata or zero, and each length is compared with the end before it is used.
library CoseStatement {    /// @notice A P-256 public key: the affine coordinates, big-endian.
    struct Key {        bytes32 x;        bytes32 y;    }    /// @notice What a statement says of itself.
    struct Parsed {        /// @dev COSE Key Thumbprint (RFC 9679) of the signer's key.
        bytes32 kid;        /// @dev keccak256 of the content type.
        bytes32 contentType;        /// @dev SHA-256 of the signer's IRI.
        bytes32 issuer;        /// @dev SHA-256 of the twin's IRI.
        bytes32 subject;        /// @dev The signer's clock, POSIX seconds.
        uint64 issuedAt;        /// @dev Place in the stream.
        uint64 seq;        /// @dev Where the unprotected header lies in the statement: between the two parts that are signed.
        uint256 middle;        /// @dev Where the payload begins in the statement.
        uint256 payloadOffset;        /// @dev The payload's bytes.
        uint256 payloadLength;    }    /// @notice The statement, or a payload, is not what the specification says, at this byte.
    error BadStatement(uint256 offset);    /// @notice The key did not sign the statement: another kid, a high s, or a signature that does not verify.
    error BadSignature();    uint256 private constant MAX_STATEMENT = 61_440;    /// @dev IRIs have at most 512 characters of at most 4 bytes.
    uint256 private constant MAX_IRI = 2048;    uint256 private constant MAX_MEDIA_TYPE = 191;    uint256 private constant MAX_UNIT = 64;    uint256 private constant UNSIGNED = 0;    uint256 private constant BYTES = 2;    uint256 private constant TEXT = 3;    /// @notice Read a statement's form; the signature is not checked.
    /// @param statement The logged bytes.
    function parse(bytes calldata statement) internal pure returns (Parsed memory parsed) {        if (statement.length > MAX_STATEMENT) revert BadStatement(MAX_STATEMENT);        uint256 size;        uint256 here = 2;        _expect(statement, 0, 0xd284, 2); // tag 18, array of four
        (size, here) = _head(statement, here, BYTES);        parsed.middle = here + size;        if (parsed.middle > statement.length) revert BadStatement(here);        here = _protected(statement, here, parsed);        if (here != parsed.middle) revert BadStatement(here);        here = _expect(statement, here, 0xa0, 1); // the empty unprotected header
        (size, here) = _head(statement, here, BYTES);        parsed.payloadOffset = here;        parsed.payloadLength = size;        here = _expect(statement, here + size, 0x5840, 2);        if (here + 64 != statement.length) revert BadStatement(here);    }    /// @notice The payload of a statement that `parse` read.
    function payloadOf(bytes calldata statement, Parsed memory parsed) internal pure returns (bytes calldata payload) {        return statement[parsed.payloadOffset:parsed.payloadOffset + parsed.payloadLength];    }    /// @notice Refuse unless `key` signed the statement and its kid names `key`.
    function checkSignature(bytes calldata statement, Key memory key) internal view {        checkSignature(statement, parse(statement), key);    }    /// @notice The same for a statement that was parsed already.
    /// @param parsed What `parse` made of the same bytes.
    function checkSignature(bytes calldata statement, Parsed memory parsed, Key memory key) internal view {        uint256 end = statement.length - 64;        // Sig_structure of RFC 9052 section 4.4: ["Signature1", protected, h'', payload]. The encodings of protected
        // header and payload stand in the statement as they are signed.
        bytes32 digest = sha256(            bytes.concat(                hex"846a5369676e617475726531", statement[2:parsed.middle], hex"40", statement[parsed.middle + 1:end - 2]            )        );        if (            parsed.kid != thumbprint(key)                || !P256.verify(digest, bytes32(statement[end:end + 32]), bytes32(statement[end + 32:]), key.x, key.y)        ) revert BadSignature();    }    /// @notice The COSE Key Thumbprint (RFC 9679) with SHA-256 of a P-256 key.
    function thumbprint(Key memory key) internal pure returns (bytes32) {        return sha256(bytes.concat(hex"a401022001215820", key.x, hex"225820", key.y));    }    /// @notice The first two entries of a prediction's payload; the others are not looked at.
    /// @param payload The payload of a prediction.
    /// @return lower The bound that the remaining life is above with probability `coverage`: the bits of a float64.
    /// @return point The most likely remaining life: the bits of a float64, `lower <= point <= upper`.
    /// @return upper The upper bound: the bits of a float64.
    /// @return coverage Between 0 and 1, both excluded: the bits of a float64.
    /// @return unit keccak256 of the unit's text.
    /// @dev All four are finite, not negative and not -0, so that they order as integers.
    function prediction(bytes calldata payload)        internal        pure        returns (uint64 lower, uint64 point, uint64 upper, uint64 coverage, bytes32 unit)    {        uint256 here = _map(payload);        here = _expect(payload, here, 0x6372756c5820, 6); // "rul", 32 bytes
        uint256 bounds = _word(payload, here);        lower = uint64(bounds >> 192);        point = uint64(bounds >> 128);        upper = uint64(bounds >> 64);        coverage = uint64(bounds);        if (lower > point || point > upper || upper >= 0x7ff0000000000000) revert BadStatement(here);        if (coverage == 0 || coverage >= 0x3ff0000000000000) revert BadStatement(here + 24);        here = _expect(payload, here + 32, 0x64756e6974, 5); // "unit"
        (unit, here) = _text(payload, here, payload.length, MAX_UNIT, false);    }    /// @notice The first two entries of an installation's payload; the others are not looked at.
    /// @param payload The payload of an installation.
    /// @return order The order's key.
    /// @return part The token id of the part that went in.
    function installation(bytes calldata payload) internal pure returns (bytes32 order, bytes32 part) {        uint256 here = _map(payload);        here = _expect(payload, here, 0x64706172745820, 7); // "part", 32 bytes
        part = bytes32(_word(payload, here));        here = _expect(payload, here + 32, 0x656f726465725820, 8); // "order", 32 bytes
        order = bytes32(_word(payload, here));        if (here + 32 > payload.length) revert BadStatement(here);    }    /// @dev The protected header at `at`; returns where it ends.
    function _protected(bytes calldata statement, uint256 here, Parsed memory parsed) private pure returns (uint256) {        uint256 end = parsed.middle;        uint256 value;        bool chained = _word(statement, here) >> 248 == 0xa6; // six entries: with prev
        here = _expect(statement, here, chained ? 0xa6012603 : 0xa5012603, 4); // alg: ES256; content type
        (parsed.contentType, here) = _text(statement, here, end, MAX_MEDIA_TYPE, false);        here = _expect(statement, here, 0x045820, 3); // kid
        parsed.kid = bytes32(_word(statement, here));        here = _expect(statement, here + 32, 0x0fa301, 3); // CWT claims; iss
        (parsed.issuer, here) = _text(statement, here, end, MAX_IRI, true);        here = _expect(statement, here, 0x02, 1); // sub
        (parsed.subject, here) = _text(statement, here, end, MAX_IRI, true);        uint256 start = _expect(statement, here, 0x06, 1); // iat
        (value, here) = _head(statement, start, UNSIGNED);        if (value == 0 || value >= 1 << 53) revert BadStatement(start);        parsed.issuedAt = uint64(value);        start = _expect(statement, here, 0x3a00011170, 5); // seq
        (value, here) = _head(statement, start, UNSIGNED);        if (value >= 1 << 63 || (value != 0) != chained) revert BadStatement(start);        parsed.seq = uint64(value);        if (!chained) return here;        return _expect(statement, here, 0x3a000111715820, 7) + 32; // prev
    }    /// @dev A map of 2 to 23 entries at the start.
    function _map(bytes calldata data) private pure returns (uint256 next) {        uint256 first = _word(data, 0) >> 248;        if (first < 0xa2 || first > 0xb7) revert BadStatement(0);        return 1;    }    /// @dev The 32 bytes at `at`, whether they are the data's or come after it.
    function _word(bytes calldata data, uint256 here) private pure returns (uint256 word) {        assembly ("memory-safe") {            word := calldataload(add(data.offset, here))        }    }    /// @dev Refuse unless the `size` bytes at `at` are `wanted`; returns the place after them.
    function _expect(bytes calldata data, uint256 here, uint256 wanted, uint256 size)        private        pure        returns (uint256 next)    {        next = here + size;        if (next > data.length || _word(data, here) >> (256 - 8 * size) != wanted) revert BadStatement(here);    }    /// @dev The argument, in its shortest form, of the item of this major type at `at`; and the place after the head.
    function _head(bytes calldata data, uint256 here, uint256 major) private pure returns (uint256 value, uint256 next) {        uint256 word = _word(data, here);        uint256 first = word >> 248;        if (first >> 5 != major) revert BadStatement(here);        value = first & 31;        next = here + 1;        if (value > 23) {            if (value > 27) revert BadStatement(here);            uint256 size = 1 << (value - 24);            value = (word << 8) >> (256 - 8 * size);            if (value < (size == 1 ? 24 : 1 << (4 * size))) revert BadStatement(here);            next += size;        }    }    /// @dev The hash of the text at `at`, of 1 to `limit` bytes and within `end`; and the place after it.
    function _text(bytes calldata data, uint256 here, uint256 end, uint256 limit, bool sha2)        private        pure        returns (bytes32 hash, uint256 next)    {        (uint256 size, uint256 start) = _head(data, here, TEXT);        next = start + size;        if (size == 0 || size > limit || next > end) revert BadStatement(here);        hash = sha2 ? sha256(data[start:next]) : keccak256(data[start:next]);    }}