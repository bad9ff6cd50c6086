// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {CoseStatement} from "../src/CoseStatement.sol";

/// @title The library's functions, one by one
contract CoseStatementHarness {
    using CoseStatement for bytes;

    function parse(bytes calldata statement)
        external
        pure
        returns (CoseStatement.Parsed memory parsed, bytes memory payload)
    {
        parsed = statement.parse();
        payload = statement.payloadOf(parsed);
    }

    function checkSignature(bytes calldata statement, CoseStatement.Key calldata key) external view {
        statement.checkSignature(key);
    }

    function thumbprint(CoseStatement.Key calldata key) external pure returns (bytes32) {
        return CoseStatement.thumbprint(key);
    }

    function prediction(bytes calldata payload)
        external
        pure
        returns (uint64 lower, uint64 point, uint64 upper, uint64 coverage, bytes32 unit)
    {
        return payload.prediction();
    }

    function installation(bytes calldata payload) external pure returns (bytes32 order, bytes32 part) {
        return payload.installation();
    }

    /// @notice For each statement, whether parsing (bit 0) and checking its signature (bit 1) went through; bit 7 if it was
    /// refused otherwise than with the library's errors.
    function checkMany(bytes[] calldata statements, CoseStatement.Key calldata key)
        external
        view
        returns (bytes memory results)
    {
        results = new bytes(statements.length);
        for (uint256 i; i < statements.length; ++i) {
            uint8 result;
            try this.parse(statements[i]) {
                result = 1;
            } catch (bytes memory reason) {
                if (bytes4(reason) != CoseStatement.BadStatement.selector) result = 0x80;
            }
            try this.checkSignature(statements[i], key) {
                result |= 2;
            } catch (bytes memory reason) {
                bytes4 problem = bytes4(reason);
                if (problem != CoseStatement.BadStatement.selector && problem != CoseStatement.BadSignature.selector) {
                    result |= 0x80;
                }
            }
            results[i] = bytes1(result);
        }
    }

    /// @notice For each prediction's payload 1, or 0 if it was refused.
    function predictions(bytes[] calldata payloads) external view returns (bytes memory results) {
        results = new bytes(payloads.length);
        for (uint256 i; i < payloads.length; ++i) {
            try this.prediction(payloads[i]) {
                results[i] = 0x01;
            } catch {}
        }
    }

    /// @notice What OpenZeppelin says of signatures over digests: with the precompile, or without it.
    function verify(bytes32[] calldata digests, bytes32[2][] calldata signatures, CoseStatement.Key calldata key, bool native)
        external
        view
        returns (bytes memory results)
    {
        results = new bytes(digests.length);
        for (uint256 i; i < digests.length; ++i) {
            (bytes32 r, bytes32 s) = (signatures[i][0], signatures[i][1]);
            bool valid = native
                ? P256.verify(digests[i], r, s, key.x, key.y)
                : P256.verifySolidity(digests[i], r, s, key.x, key.y);
            if (valid) results[i] = 0x01;
        }
    }

    /// @notice The gas of parsing, of checking the signature of what was parsed, and of a signature without precompile.
    function gasOf(bytes calldata statement, CoseStatement.Key calldata key)
        external
        view
        returns (uint256 parsing, uint256 signature, uint256 fallback_)
    {
        uint256 start = gasleft();
        CoseStatement.Parsed memory parsed = statement.parse();
        parsing = start - gasleft();
        start = gasleft();
        statement.checkSignature(parsed, key);
        signature = start - gasleft();
        uint256 end = statement.length - 64;
        bytes32 digest = sha256(
            bytes.concat(
                hex"846a5369676e617475726531", statement[2:parsed.middle], hex"40", statement[parsed.middle + 1:end - 2]
            )
        );
        start = gasleft();
        require(P256.verifySolidity(digest, bytes32(statement[end:]), bytes32(statement[end + 32:]), key.x, key.y));
        fallback_ = start - gasleft();
    }
}
