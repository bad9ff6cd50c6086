"""EVM chains: an embedded one, and any network over JSON-RPC. Design: docs/design/chain.md.

The only room that knows EVM libraries. Amounts are in wei, gas in units, times in POSIX seconds, hashes and
addresses are bytes.
"""
