/** The guide of a demonstration, as the node hands it out; read strictly, though our own program wrote it. */

import { bytes } from "../../api/client";

export interface GuideStep {
  readonly title: string;
  readonly text: string;
  /** A route of the console, from its slash. */
  readonly route: string;
}

/** Where a lie is found: a step of the verification, the replay of the predictions, or the chain. */
export type CaughtAt = number | "replay" | "chain";

export interface Lie {
  readonly id: string;
  readonly title: string;
  readonly told: string;
  readonly caught: { readonly step: CaughtAt; readonly words: string };
  /** Evidence to check, or a place of the console to look at. */
  readonly shown: { readonly file: string; readonly policy: string; readonly replay: boolean } | { readonly route: string };
}

export interface Guide {
  readonly title: string;
  readonly steps: readonly GuideStep[];
  readonly policy: string;
  /** Thumbprint, hexadecimal; empty if none is expected. */
  readonly operator: string;
  readonly blocks: readonly string[];
  readonly sound: { readonly file: string; readonly told: string };
  readonly lies: readonly Lie[];
}

const MAX_ITEMS = 32;
const FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const ROUTE = /^#\/[\x21-\x7e]{0,2000}$/;

/** What the node says is no guide. */
export class NoGuide extends Error {
  override readonly name = "NoGuide";
}

function object(value: unknown, name: string): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new NoGuide(`guide.json: ${name} is no object`);
  return value;
}

function text(from: object, name: string, form = /^[^]{1,2000}$/): string {
  const value: unknown = Reflect.get(from, name);
  if (typeof value !== "string" || !form.test(value)) throw new NoGuide(`guide.json: ${name} is not what it must be`);
  return value;
}

function list<T>(from: object, name: string, read: (item: unknown) => T): T[] {
  const value: unknown = Reflect.get(from, name);
  if (!Array.isArray(value) || value.length > MAX_ITEMS) throw new NoGuide(`guide.json: ${name} is no list of at most ${MAX_ITEMS}`);
  return value.map((item: unknown) => read(item));
}

const route = (from: object): string => text(from, "link", ROUTE).slice(1);

function step(item: unknown): GuideStep {
  const from = object(item, "a step");
  return { title: text(from, "title"), text: text(from, "text"), route: route(from) };
}

function caughtAt(from: object): CaughtAt {
  const value: unknown = Reflect.get(from, "step");
  if (value === "replay" || value === "chain") return value;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 10) return value;
  throw new NoGuide("guide.json: step is not what it must be");
}

function lie(item: unknown, policy: string): Lie {
  const from = object(item, "a lie");
  const caught = object(Reflect.get(from, "caught"), "caught");
  const found = { id: text(from, "id", FILE), title: text(from, "title"), told: text(from, "told"), caught: { step: caughtAt(caught), words: text(caught, "words") } };
  if (!("file" in from)) return { ...found, shown: { route: route(from) } };
  const own = "policy" in from ? text(from, "policy", FILE) : policy;
  return { ...found, shown: { file: text(from, "file", FILE), policy: own, replay: Reflect.get(from, "models") === true } };
}

/** Throws `NoGuide`. */
export function readGuide(data: Uint8Array): Guide {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    throw new NoGuide("guide.json is no JSON");
  }
  const from = object(value, "the guide");
  const policy = text(from, "policy", FILE);
  const sound = object(Reflect.get(from, "sound"), "sound");
  return {
    title: text(from, "title"),
    steps: list(from, "steps", step),
    policy,
    operator: Reflect.get(from, "operator") === null ? "" : text(from, "operator", /^[0-9a-f]{64}$/),
    blocks: list(from, "blocks", (block) => text({ block }, "block", /^0x[0-9a-f]{64}$/)),
    sound: { file: text(sound, "file", FILE), told: text(sound, "told") },
    lies: list(from, "lies", (item) => lie(item, policy)),
  };
}

/** Null where the node has none. */
export async function getGuide(signal: AbortSignal): Promise<Guide | null> {
  const data = await getFile("guide.json", signal);
  return data.length === 0 ? null : readGuide(data);
}

export const getFile = (name: string, signal: AbortSignal): Promise<Uint8Array> => bytes(`console/guide/${encodeURIComponent(name)}`, {}, signal);
