// One twin: its state, its model, its neighbours; commands, desired properties, responses to alarms.
import { bytes, get, post } from "./client";

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

export interface Told {
  value: Json;
  entry: number;
  time: number;
}

export interface Relationship {
  name: string;
  target: string;
  entry: number;
  time: number;
}

export interface LatestReading {
  value: Json;
  unit: string | null;
  time: number;
  entry: number;
}

export interface Request {
  id: string;
  name: string | null;
  status: string;
  entry: number;
  time: number;
  answer: number | null;
}

export interface RuleHeld {
  signal: string;
  test: string;
  limit: number;
  severity: string;
  text: string | null;
  entry: number;
}

export interface AlarmHeld {
  state: string;
  active: boolean;
  acknowledged: boolean;
  shelved_until: number | null;
  value: number | null;
  /** What a detector saw; null for a rule's alarm. */
  case: Case | null;
  entry: number;
  time: number;
}

export interface Case {
  detector: string;
  score: number;
  since: number;
  /** Each signal's part of the score, negative where it was too low; the greatest first. */
  signals: { name: string; part: number }[];
  hints: string[];
}

export interface State {
  sub: string;
  model: Told | null;
  lifecycle: Told | null;
  properties: Record<string, Told>;
  relationships: Relationship[];
  readings: Record<string, LatestReading>;
  losses: Told[];
  desired: Record<string, Told>;
  requests: Request[];
  rules: Record<string, RuleHeld>;
  alarms: Record<string, AlarmHeld>;
  prediction: { drivers: Record<string, number>; entry: number } | null;
  installed: { part: string; order: string; entry: number; time: number }[];
  tokens: { chain: number; contract: string; token: string; status: string; parent: string | null; entry: number }[];
  statements: number;
  last_index: number;
  reached: number;
}

export type Words = Record<string, string>;

/** A primitive's name, or what a complex schema is made of; without members if it was too large to write out. */
export type Schema =
  | string
  | {
      kind: string;
      id: string;
      of?: Schema | null;
      values?: { name: string; value: string | number; display_name: Words }[];
      fields?: { name: string; schema: Schema | null; display_name: Words; description: Words }[];
    };

export interface ModelField {
  name: string | null;
  display_name: Words;
  description: Words;
  schema: Schema | null;
  unit: string | null;
  writable: boolean;
}

export interface ModelCommand {
  display_name: Words;
  description: Words;
  request: ModelField | null;
  response: ModelField | null;
}

export interface Model {
  id: string;
  entry: number;
  display_name: Words;
  description: Words;
  properties: Record<string, ModelField>;
  telemetry: Record<string, ModelField>;
  commands: Record<string, ModelCommand>;
  relationships: Record<string, { display_name: Words; description: Words }>;
  components: Record<string, string>;
}

export const getState = (sub: string, signal?: AbortSignal): Promise<State> => get<State>("state", { sub }, signal);

export const getModel = (id: string, signal?: AbortSignal): Promise<Model> => get<Model>("models/summary", { id }, signal);

export interface GraphAnswer {
  columns: string[];
  rows: Json[][];
  more: boolean;
  reached: number;
}

export const askGraph = (query: string, parameters: Record<string, string>, signal?: AbortSignal): Promise<GraphAnswer> =>
  post<GraphAnswer>("graph", { query, parameters }, signal);

export interface Stated {
  entry: number;
  digest: string;
}

/** Name of one act: sent twice, it is stated once. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
}

const given = <T>(name: string, value: T | undefined): Record<string, T> => (value === undefined ? {} : { [name]: value });

export const sendCommand = (id: string, sub: string, name: string, input: Json | undefined, deadline: number | undefined): Promise<Stated> =>
  post<Stated>("commands", { id, sub, name, ...given("input", input), ...given("deadline", deadline) });

export const sendDesired = (id: string, sub: string, name: string, value: Json): Promise<Stated> =>
  post<Stated>("desired", { id, sub, set: { [name]: value } });

export type Response = "acknowledge" | "shelve" | "unshelve";

export const sendResponse = (id: string, sub: string, rule: string, transition: Response, until?: number, text?: string): Promise<Stated> =>
  post<Stated>("alarms/response", { id, sub, rule, transition, ...given("until", until), ...given("text", text || undefined) });

/** What a statement names by its SHA-256. */
export const getBlob = (digest: string, signal?: AbortSignal): Promise<Uint8Array> => bytes(`blobs/${digest}`, {}, signal);
