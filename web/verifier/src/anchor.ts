/** Anchors: a head of the log in an event of a contract on an EVM chain, proved from a block's header (spec/anchor.md). */

import { keccak_256 } from "@noble/hashes/sha3";

import { equalBytes, toHex, toNumber, utf8 } from "./bytes.js";
import { type Value, isArray, isBytes, isWhole } from "./cbor.js";
import { demand } from "./errors.js";
import { MAX_SIZE } from "./merkle.js";
import { proveValue } from "./mpt.js";
import { type Item, List, decodeRlp, listOf, numberOf, stringOf } from "./rlp.js";

/** Bytes of header and nodes of one anchor. */
export const MAX_ANCHOR = 16_384;
const MAX_NODES = 16;
const MAX_INDEX = 1n << 32n;
const MAX_LOGS = 4_096;
const MAX_TIME = 1n << 53n;
const ANCHORED = keccak_256(utf8("Anchored(bytes32,uint64,bytes32,uint64)"));

/** A member of `anchors`, its hashes aside. */
export interface AnchorEvidence {
  readonly chain: bigint;
  readonly header: Uint8Array;
  readonly index: number;
  readonly receipt: readonly Uint8Array[];
  readonly position: number;
  readonly transaction: readonly Uint8Array[];
}

/** What an anchor proves of whoever trusts the block. */
export interface AnchoredHead {
  readonly chain: bigint;
  readonly blockNumber: bigint;
  /** This and all below are hexadecimal. */
  readonly blockHash: string;
  readonly transaction: string;
  readonly contract: string;
  readonly logId: string;
  readonly size: bigint;
  readonly root: Uint8Array;
  /** POSIX seconds. */
  readonly time: bigint;
  readonly index: number;
  readonly position: number;
}

function parseNodes(value: Value | undefined, field: string): readonly Uint8Array[] {
  demand(isArray(value) && value.length >= 1 && value.length <= MAX_NODES, field, `not 1 to ${MAX_NODES} nodes`);
  return value.map((node) => {
    demand(isBytes(node), field, "a node that is no byte string");
    return node;
  });
}

export function parseAnchor(members: readonly Value[], field: string): AnchorEvidence {
  demand(members.length === 6, field, "not [chain, header, index, nodes, position, nodes, hashes]");
  const [chain, header, index, receiptNodes, position, transactionNodes] = members;
  demand(isWhole(chain, 1n, MAX_SIZE), field, "chain id out of range");
  demand(isBytes(header), field, "header is no byte string");
  demand(isWhole(index, 0n, MAX_INDEX) && isWhole(position, 0n, MAX_INDEX), field, "index or position out of range");
  const receipt = parseNodes(receiptNodes, field);
  const transaction = parseNodes(transactionNodes, field);
  const size = [header, ...receipt, ...transaction].reduce((sum, part) => sum + part.length, 0);
  demand(size <= MAX_ANCHOR, field, `${size} bytes, the limit is ${MAX_ANCHOR}`);
  return { chain, header, index: Number(index), receipt, position: Number(position), transaction };
}

function parseHeader(data: Uint8Array): { transactions: Uint8Array; receipts: Uint8Array; number: bigint; time: bigint } {
  const items = listOf(decodeRlp(data, "header"), "header");
  demand(items.length >= 15 && items.length <= 64, "header", "not 15 to 64 items");
  demand(!items.some((item) => item instanceof List), "header", "holds a list");
  return {
    transactions: stringOf(items[4], "header.transactionsRoot", 32),
    receipts: stringOf(items[5], "header.receiptsRoot", 32),
    number: numberOf(items[8], "header.number"),
    time: numberOf(items[11], "header.timestamp"),
  };
}

/** EIP-2718: the type, undefined for a legacy value, and what follows it. */
function split(value: Uint8Array): readonly [type: number | undefined, rest: Uint8Array] {
  return value[0]! < 0x80 ? [value[0]!, value.subarray(1)] : [undefined, value];
}

function logAt(receipt: Uint8Array, position: number): readonly Item[] {
  const items = listOf(decodeRlp(split(receipt)[1], "receipt"), "receipt");
  demand(items.length === 4, "receipt", "not a list of 4");
  const status = stringOf(items[0], "receipt.status");
  demand(status.length === 1 && status[0] === 1, "receipt", "the transaction failed");
  const logs = listOf(items[3], "receipt.logs");
  demand(logs.length <= MAX_LOGS && position < logs.length, "receipt", `has ${logs.length} logs, none at position ${position}`);
  const log = listOf(logs[position], "log");
  demand(log.length === 3, "log", "not address, topics and data");
  return log;
}

function uint64Of(word: Uint8Array, field: string): bigint {
  const value = toNumber(word);
  demand(value < 1n << 64n, field, "more than 64 bits");
  return value;
}

function chainOf(transaction: Uint8Array): bigint {
  const [type, rest] = split(transaction);
  const items = listOf(decodeRlp(rest, "transaction"), "transaction");
  if (type !== undefined) {
    demand(type >= 1 && type <= 4, "transaction", `unknown type ${type}`);
    demand(items.length >= 11 && items.length <= 14, "transaction", "not a list of 11 to 14");
    return numberOf(items[0], "transaction.chainId");
  }
  demand(items.length === 9, "transaction", "not a list of 9");
  const v = numberOf(items[6], "transaction.v");
  demand(v >= 35n, "transaction.v", "names no chain (EIP-155)");
  return (v - 35n) / 2n;
}

/** Refuse unless header, receipt, event and transaction are those of an anchor. */
export function proveAnchor(evidence: AnchorEvidence): AnchoredHead {
  const header = parseHeader(evidence.header);
  const receipt = proveValue(header.receipts, evidence.index, evidence.receipt, "receipt proof");
  const [address, topicItems, dataItem] = logAt(receipt, evidence.position);
  const topics = listOf(topicItems, "log.topics");
  const data = stringOf(dataItem, "log.data");
  const contract = stringOf(address, "log.address", 20);
  const isEvent = topics.length === 3 && equalBytes(stringOf(topics[0], "log.topics"), ANCHORED);
  demand(isEvent, "log", "no Anchored event");
  demand(data.length === 64, "log.data", "not 64 bytes");
  const logId = stringOf(topics[1], "log.logId", 32);
  const size = uint64Of(stringOf(topics[2], "log.size", 32), "log.size");
  demand(size > 0n && size < MAX_SIZE, "log.size", "no size of a log");
  const time = uint64Of(data.subarray(32), "log.time");
  demand(time === header.time && time > 0n && time < MAX_TIME, "log.time", "not the block's");
  const transaction = proveValue(header.transactions, evidence.index, evidence.transaction, "transaction proof");
  demand(chainOf(transaction) === evidence.chain, "transaction", `not for the chain ${evidence.chain}`);
  return {
    chain: evidence.chain,
    blockNumber: header.number,
    blockHash: toHex(keccak_256(evidence.header)),
    transaction: toHex(keccak_256(transaction)),
    contract: toHex(contract),
    logId: toHex(logId),
    size,
    root: data.subarray(0, 32),
    time,
    index: evidence.index,
    position: evidence.position,
  };
}
