// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title Statements (spec/statement.md): COSE_Sign1 in deterministic CBOR, signed with ES256
/// @notice A statement has exactly one encoding; anything else reverts. Of the texts in its header the length is checked
/// and nothing else: names are compared by hash, so a name that the log would refuse equals none that it took.
/// @dev A parser over calldata without bounds checks at each read: places only ascend, what is read beyond the end is
/// other calldata or zero, and each length is compared with the end before it is used. Places stay below 2^66, so sums
/// are unchecked.
library CoseStatement {
    /// @notice A P-256 public key: the affine coordinates, big-endian.
    struct Key {
        bytes32 x;
        bytes32 y;
    }

    /// @notice What a statement says of itself.
    struct Parsed {
        /// @dev COSE Key Thumbprint (RFC 9679) of the signer's key.
        bytes32 kid;
        /// @dev keccak256 of the content type.
        bytes32 contentType;
        /// @dev SHA-256 of the signer's IRI.
        bytes32 issuer;
        /// @dev SHA-256 of the twin's IRI.
        bytes32 subject;
        /// @dev The signer's clock, POSIX seconds.
        uint64 issuedAt;
        /// @dev Place in the stream.
        uint64 seq;
        /// @dev Where the unprotected header lies in the statement: between the two parts that are signed.
        uint256 middle;
        /// @dev Where the payload begins in the statement.
        uint256 payloadOffset;
        /// @dev The payload's bytes.
        uint256 payloadLength;
    }

    /// @notice The statement, or the payload, is not what the specification says, at this byte.
    error BadStatement(uint256 offset);
    /// @notice The key did not sign the statement: another kid, a high s, or a signature that does not verify.
    error BadSignature();

    uint256 private constant MAX_STATEMENT = 61_440;
    /// @dev IRIs have at most 512 characters of at most 4 bytes.
    uint256 private constant MAX_IRI = 2048;
    uint256 private constant MAX_MEDIA_TYPE = 192;
    uint256 private constant MAX_UNIT = 16;
    uint256 private constant SIGNATURE = 64;
    /// @dev The major types of CBOR.
    uint256 private constant UNSIGNED = 0;
    uint256 private constant BYTES = 2;
    uint256 private constant TEXT = 3;
    /// @dev The float64 bits of infinity and of 1.
    uint64 private constant INFINITE = 0x7ff0000000000000;
    uint64 private constant ONE = 0x3ff0000000000000;
    /// @dev The byte 1, 32 times.
    uint256 private constant ONES = type(uint256).max / 0xff;

    /// @notice Read a statement's form; the signature is not checked.
    /// @param statement The logged bytes.
    function parse(bytes calldata statement) internal pure returns (Parsed memory parsed) {
        unchecked {
            if (statement.length > MAX_STATEMENT) revert BadStatement(MAX_STATEMENT);
            uint256 here = _expect(statement, 0, 0xd284, 2); // tag 18, array of four
            uint256 size;
            (size, here) = _head(statement, here, BYTES);
            uint256 middle = here + size;
            if (middle > statement.length) revert BadStatement(here);
            here = _header(statement, here, middle, parsed);
            if (here != middle) revert BadStatement(here);
            parsed.middle = middle;
            here = _expect(statement, here, 0xa0, 1); // the empty unprotected header
            (size, here) = _head(statement, here, BYTES);
            parsed.payloadOffset = here;
            parsed.payloadLength = size;
            here = _expect(statement, here + size, 0x5840, 2);
            if (here + SIGNATURE != statement.length) revert BadStatement(here);
        }
    }

    /// @notice The payload of a statement that `parse` read.
    function payloadOf(bytes calldata statement, Parsed memory parsed) internal pure returns (bytes calldata payload) {
        return statement[parsed.payloadOffset:parsed.payloadOffset + parsed.payloadLength];
    }

    /// @notice Refuse unless `key` signed the statement and its kid names `key`.
    function checkSignature(bytes calldata statement, Key memory key) internal view {
        checkSignature(statement, parse(statement), key);
    }

    /// @notice The same for a statement that was parsed already.
    /// @param parsed What `parse` made of the same bytes.
    function checkSignature(bytes calldata statement, Parsed memory parsed, Key memory key) internal view {
        uint256 end = statement.length - SIGNATURE;
        // Sig_structure of RFC 9052 section 4.4: ["Signature1", protected, h'', payload]. Protected header and payload
        // stand in the statement with their heads, as they are signed.
        bytes32 digest = sha256(
            bytes.concat(
                hex"846a5369676e617475726531", statement[2:parsed.middle], hex"40", statement[parsed.middle + 1:end - 2]
            )
        );
        bytes32 r = bytes32(statement[end:end + 32]);
        bytes32 s = bytes32(statement[end + 32:]);
        if (parsed.kid != thumbprint(key) || !P256.verify(digest, r, s, key.x, key.y)) revert BadSignature();
    }

    /// @notice The COSE Key Thumbprint (RFC 9679) with SHA-256 of a P-256 key.
    function thumbprint(Key memory key) internal pure returns (bytes32) {
        return sha256(bytes.concat(hex"a401022001215820", key.x, hex"225820", key.y));
    }

    /// @notice The first two entries of a prediction's payload (spec/prediction.md); the others are not looked at.
    /// @param payload The payload of a prediction.
    /// @return lower The lower end of the remaining life's interval: the bits of a float64.
    /// @return point The best single estimate: the bits of a float64, `lower <= point <= upper`.
    /// @return upper The upper end: the bits of a float64.
    /// @return coverage Above 0, at most 1: the bits of a float64.
    /// @return unit keccak256 of the unit's text, which is 1 to 16 visible ASCII characters.
    /// @dev All four are finite, not negative and not -0, so that they order as integers.
    function prediction(bytes calldata payload)
        internal
        pure
        returns (uint64 lower, uint64 point, uint64 upper, uint64 coverage, bytes32 unit)
    {
        unchecked {
            uint256 here = _expect(payload, _map(payload), 0x6372756c5820, 6); // "rul", 32 bytes
            uint256 bounds = _word(payload, here);
            lower = uint64(bounds >> 192);
            point = uint64(bounds >> 128);
            upper = uint64(bounds >> 64);
            coverage = uint64(bounds);
            if (lower > point || point > upper || upper >= INFINITE) revert BadStatement(here);
            if (coverage == 0 || coverage > ONE) revert BadStatement(here + 24);
            here = _expect(payload, here + 32, 0x64756e6974, 5); // "unit"
            (uint256 size, uint256 start) = _head(payload, here, TEXT);
            if (size == 0 || size > MAX_UNIT || start + size > payload.length) revert BadStatement(here);
            // All bytes at once, those after the unit replaced by "!": none above "~", none below "!".
            uint256 rest = type(uint256).max >> (8 * size);
            uint256 text = (_word(payload, start) & ~rest) | ((ONES * 0x21) & rest);
            uint256 tops = ONES * 0x80;
            if (text & tops != 0 || (text + ONES) & tops != 0 || (text + ONES * 0x5f) & tops != tops) {
                revert BadStatement(here);
            }
            unit = keccak256(payload[start:start + size]);
        }
    }

    /// @notice The first two entries of an installation's payload (spec/chain.md); the others are not looked at.
    /// @param payload The payload of an installation.
    /// @return order The order's key.
    /// @return part The token id of the part that went in.
    function installation(bytes calldata payload) internal pure returns (bytes32 order, bytes32 part) {
        unchecked {
            uint256 here = _expect(payload, _map(payload), 0x64706172745820, 7); // "part", 32 bytes
            part = bytes32(_word(payload, here));
            here = _expect(payload, here + 32, 0x656f726465725820, 8); // "order", 32 bytes
            order = bytes32(_word(payload, here));
            if (here + 32 > payload.length) revert BadStatement(here);
        }
    }

    /// @dev Reads the protected header between `here` and `end`; returns where it ends in fact.
    function _header(bytes calldata statement, uint256 here, uint256 end, Parsed memory parsed)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 start;
            uint256 value;
            bool chained = _word(statement, here) >> 248 == 0xa6; // six entries: with prev
            here = _expect(statement, here, chained ? 0xa6012603 : 0xa5012603, 4); // alg: ES256; content type
            (start, here) = _text(statement, here, end, MAX_MEDIA_TYPE);
            parsed.contentType = keccak256(statement[start:here]);
            here = _expect(statement, here, 0x045820, 3); // kid
            parsed.kid = bytes32(_word(statement, here));
            here = _expect(statement, here + 32, 0x0fa301, 3); // CWT claims: iss
            (start, here) = _text(statement, here, end, MAX_IRI);
            parsed.issuer = sha256(statement[start:here]);
            here = _expect(statement, here, 0x02, 1); // sub
            (start, here) = _text(statement, here, end, MAX_IRI);
            parsed.subject = sha256(statement[start:here]);
            start = _expect(statement, here, 0x06, 1); // iat
            (value, here) = _head(statement, start, UNSIGNED);
            if (value == 0 || value >= 1 << 53) revert BadStatement(start);
            parsed.issuedAt = uint64(value);
            start = _expect(statement, here, 0x3a00011170, 5); // seq
            (value, here) = _head(statement, start, UNSIGNED);
            if (value >= 1 << 63 || (value != 0) != chained) revert BadStatement(start);
            parsed.seq = uint64(value);
            return chained ? _expect(statement, here, 0x3a000111715820, 7) + 32 : here; // prev
        }
    }

    /// @dev Refuse unless the payload begins as a map of 2 to 23 entries; returns the place after its head.
    function _map(bytes calldata payload) private pure returns (uint256) {
        uint256 first = _word(payload, 0) >> 248;
        if (first < 0xa2 || first > 0xb7) revert BadStatement(0);
        return 1;
    }

    /// @dev The 32 bytes from `here` on, whether they are the data's or come after it.
    function _word(bytes calldata data, uint256 here) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, here))
        }
    }

    /// @dev Refuse unless the `size` bytes from `here` on are `wanted`; returns the place after them.
    function _expect(bytes calldata data, uint256 here, uint256 wanted, uint256 size)
        private
        pure
        returns (uint256 next)
    {
        unchecked {
            next = here + size;
            if (next > data.length || _word(data, here) >> (256 - 8 * size) != wanted) revert BadStatement(here);
        }
    }

    /// @dev The argument, in its shortest form, of the item of this major type; and the place after its head.
    function _head(bytes calldata data, uint256 here, uint256 major)
        private
        pure
        returns (uint256 value, uint256 next)
    {
        unchecked {
            uint256 word = _word(data, here);
            uint256 first = word >> 248;
            value = first & 31;
            next = here + 1;
            if (first >> 5 != major || value > 27) revert BadStatement(here);
            if (value > 23) {
                uint256 size = 1 << (value - 24);
                value = (word << 8) >> (256 - 8 * size);
                if (value < (size == 1 ? 24 : 1 << (4 * size))) revert BadStatement(here);
                next += size;
            }
        }
    }

    /// @dev Where the text that stands here begins and ends: 1 to `limit` bytes, and not beyond `end`.
    function _text(bytes calldata data, uint256 here, uint256 end, uint256 limit)
        private
        pure
        returns (uint256 start, uint256 next)
    {
        unchecked {
            uint256 size;
            (size, start) = _head(data, here, TEXT);
            next = start + size;
            if (size == 0 || size > limit || next > end) revert BadStatement(here);
        }
    }
}
