// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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

    /// @notice For each statement, whether parsing (bit 0) and checking its signature (bit 1) went through.
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
            } catch {}
            try this.checkSignature(statements[i], key) {
                result |= 2;
            } catch {}
            results[i] = bytes1(result);
        }
    }
}
