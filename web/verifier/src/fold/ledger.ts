/** Predictions, policies, installations, tokens and orders of contracts (spec/chain.md, "State"). */

import { compareBytes, compareText, concat, toHex, uint64 } from "../bytes.js";
import { type Value, isArray, isBytes } from "../cbor.js";
import type { Fields } from "../fields.js";
import type { Said } from "../kinds/index.js";
import type { Statement } from "../statement.js";
import { float, present } from "./properties.js";

const FOLLOWER = "#chain";
const UNKNOWN = "unknown";
const STATUSES = ["InService", "Removed", "Quarantined", "Scrapped"];
/** By event: the state of an order after it, and after its retraction; undefined drops the order. */
const ORDER_STATES: ReadonlyMap<string, readonly [after: string, retracted: string | undefined]> = new Map([
  ["OrderPlaced", ["placed", undefined]],
  ["OrderAccepted", ["accepted", "placed"]],
  ["OrderShipped", ["shipped", "accepted"]],
  ["OrderReceived", ["received", "shipped"]],
  ["OrderFulfilled", ["fulfilled", UNKNOWN]],
  ["OrderCancelled", ["cancelled", UNKNOWN]],
  ["OrderDisputed", ["disputed", UNKNOWN]],
  ["OrderResolved", ["resolved", "disputed"]],
]);

type Place = readonly [block: bigint, position: bigint];

interface Key {
  readonly chain: bigint;
  readonly contract: Uint8Array;
  /** Of the token or order, 32 bytes. */
  readonly id: Uint8Array;
}

interface Token {
  readonly key: Key;
  readonly owner: Uint8Array | null;
  readonly status: string;
  readonly parent: Uint8Array | null;
  readonly place: Place;
  readonly entry: bigint;
}

interface Order {
  readonly key: Key;
  readonly agreement: Uint8Array;
  readonly state: string;
  readonly since: bigint;
  readonly token: Uint8Array | null;
  readonly place: Place;
  readonly entry: bigint;
}

interface Event {
  readonly name: string;
  readonly chain: bigint;
  readonly contract: Uint8Array;
  readonly args: ReadonlyMap<Value, Value>;
  readonly place: Place;
  readonly time: bigint;
  readonly entry: bigint;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
const comparePlaces = (a: Place, b: Place): number => compare(a[0], b[0]) || compare(a[1], b[1]);
const compareKeys = (a: Key, b: Key): number =>
  compare(a.chain, b.chain) || compareBytes(a.contract, b.contract) || compareBytes(a.id, b.id);
const below = ([block, position]: Place): Place => [block, position - 1n];
const name = ({ chain, contract, id }: Key): string => `${chain} ${toHex(contract)} ${toHex(id)}`;

/** A number of a contract in 32 bytes; null where the argument is of another type. */
function wide(value: Value | undefined): Uint8Array | null {
  if (typeof value === "bigint") return concat(new Uint8Array(24), uint64(value));
  return isBytes(value) && value.length === 32 ? value : null;
}

const address = (value: Value | undefined): Uint8Array | null => (isBytes(value) && value.length === 20 ? value : null);

function status(value: Value | undefined): string {
  return (typeof value === "bigint" ? STATUSES[Number(value)] : undefined) ?? UNKNOWN;
}

/** What an event makes of a token; undefined if it is none of its events. */
function tokenAfter({ name: event, args }: Event): Partial<Token> | undefined {
  switch (event) {
    case "HandedOver":
      return { owner: address(args.get("to")) };
    case "StatusChanged":
      return { status: status(args.get("status")) };
    case "Installed":
      return { parent: wide(args.get("parent")) };
    case "Removed":
      return { parent: null };
    default:
      return undefined;
  }
}

/** What its retraction makes of a token. */
function tokenBefore({ name: event, args }: Event): Partial<Token> | undefined {
  switch (event) {
    case "HandedOver":
      return { owner: address(args.get("from")) };
    case "StatusChanged":
      return { status: UNKNOWN };
    case "Installed":
      return { parent: null };
    case "Removed":
      return { parent: wide(args.get("parent")) };
    default:
      return undefined;
  }
}

/** The argument that names what an event acts on. */
function subjectOf(event: string): string {
  if (ORDER_STATES.has(event)) return "orderId";
  return event === "Installed" || event === "Removed" ? "child" : "tokenId";
}

interface Source {
  readonly issuer: string;
  readonly chain: bigint;
  readonly contract: Uint8Array;
  readonly place: Place;
}

export class LedgerFold {
  private prediction: Value | null = null;
  private readonly policies = new Map<string, Value>();
  private readonly installed = new Map<string, readonly Value[]>();
  private readonly tokens = new Map<string, Token>();
  private readonly orders = new Map<string, Order>();
  private readonly events = new Map<string, Source>();

  apply(said: Said, entry: bigint, statement: Statement): void {
    switch (said.kind) {
      case "prediction":
        this.prediction = [said.payload, statement.issuer, entry, statement.issuedAt];
        return;
      case "policy":
        return this.policy(said.payload, entry);
      case "installation": {
        const part = said.payload.get("part");
        if (isBytes(part)) this.installed.set(toHex(part), [part, said.payload.get("order")!, entry, statement.issuedAt]);
        return;
      }
      case "chain-event":
        if (statement.issuer.endsWith(FOLLOWER)) this.hear(said.payload, entry, statement.issuer);
    }
  }

  private policy(said: Fields, entry: bigint): void {
    const id = String(said.get("id"));
    if (said.has("remove")) this.policies.delete(id);
    else {
      const payload = new Map(said);
      for (const number of ["below", "coverage"]) payload.set(number, float(said.get(number)));
      this.policies.set(id, [payload, entry]);
    }
  }

  private hear(said: Fields, entry: bigint, issuer: string): void {
    const [block, contract, args] = [said.get("block"), said.get("contract"), said.get("args")];
    if (!isArray(block) || !isBytes(contract) || !(args instanceof Map)) throw new TypeError("a chain-event that was not checked");
    const place: Place = [BigInt(String(block[0])), BigInt(String(said.get("position")))];
    const chain = BigInt(String(said.get("chain")));
    const time = BigInt(String(said.get("time")));
    const event: Event = { name: String(said.get("event")), chain, contract, args, place, time, entry };
    const retracted = said.has("retracted");
    this.place(issuer, event, retracted);
    const id = wide(args.get(subjectOf(event.name)));
    if (id === null) return;
    const key = { chain, contract, id };
    const order = ORDER_STATES.get(event.name);
    if (order) this.order(key, event, order, retracted);
    else this.token(key, event, retracted);
  }

  private place(issuer: string, { chain, contract, place }: Event, retracted: boolean): void {
    const source = `${issuer} ${chain} ${toHex(contract)}`;
    const before = this.events.get(source)?.place ?? ([-1n, -1n] as const);
    const found = retracted ? below(place) : place;
    const takes = retracted ? comparePlaces(found, before) < 0 : comparePlaces(found, before) > 0;
    this.events.set(source, { issuer, chain, contract, place: takes ? found : before });
  }

  private token(key: Key, event: Event, retracted: boolean): void {
    const known = name(key);
    const token = this.tokens.get(known);
    const { place, entry } = event;
    if (!token) {
      if (event.name !== "Minted" || retracted) return;
      const owner = address(event.args.get("manufacturer"));
      this.tokens.set(known, { key, owner, status: STATUSES[0]!, parent: null, place, entry });
      return;
    }
    const order = comparePlaces(token.place, place);
    if (retracted ? order < 0 : order >= 0) return;
    if (event.name === "Minted") {
      if (retracted) this.tokens.delete(known);
      return;
    }
    const change = retracted ? tokenBefore(event) : tokenAfter(event);
    if (change) this.tokens.set(known, { ...token, ...change, place: retracted ? below(place) : place, entry });
  }

  private order(key: Key, event: Event, [after, before]: readonly [string, string | undefined], retracted: boolean): void {
    const known = name(key);
    const { place, entry, time: since, args } = event;
    const held = this.orders.get(known);
    if (!held && (event.name !== "OrderPlaced" || retracted)) return;
    const order = held ?? { agreement: wide(args.get("id")) ?? new Uint8Array(32), state: after, token: null, place: below(place) };
    const relation = comparePlaces(order.place, place);
    if (retracted ? relation < 0 : relation >= 0) return;
    const state = retracted ? before : after;
    if (state === undefined) {
      this.orders.delete(known);
      return;
    }
    const stays = event.name === "OrderReceived" && order.state === "disputed";
    const token = event.name !== "OrderShipped" ? order.token : retracted ? null : wide(args.get("tokenId"));
    const at = retracted ? below(place) : place;
    this.orders.set(known, { key, agreement: order.agreement, state: stays ? order.state : state, since, token, place: at, entry });
  }

  members(): [string, Value][] {
    const byKey = <T extends { readonly key: Key }>(items: Iterable<T>): T[] => [...items].sort((a, b) => compareKeys(a.key, b.key));
    const sources = [...this.events.values()].sort(
      (a, b) => compareText(a.issuer, b.issuer) || compare(a.chain, b.chain) || compareBytes(a.contract, b.contract));
    return present([
      ["prediction", this.prediction],
      ["policies", new Map(this.policies)],
      ["installed", [...this.installed].sort((a, b) => compareText(a[0], b[0])).map(([, item]) => item)],
      ["tokens", byKey(this.tokens.values()).map(({ key: { chain, contract, id }, owner, status: state, parent, place, entry }) =>
        [chain, contract, id, owner, state, parent, ...place, entry])],
      ["orders", byKey(this.orders.values()).map(({ key: { chain, contract, id }, agreement, state, since, token, place, entry }) =>
        [chain, contract, id, agreement, state, since, token, ...place, entry])],
      ["events", sources.map(({ issuer, chain, contract, place }) => [issuer, chain, contract, ...place])],
    ]);
  }
}
