/** Requests to the node: its JSON API, and the kernel's bytes. Refusals are `ApiError`, whatever their cause. */

import { currentToken } from "../session/token";

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** A refusal (RFC 9457), or no answer at all (status 0, code "unreachable"). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    /** The request's field that was refused. */
    readonly field: string | null = null,
    /** Seconds after which to come back. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }

  /** Whether asking again may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }
}

type Refusal = (error: ApiError) => void;
let whenSignedOut: Refusal = () => undefined;

/** Be told of every answer 401. */
export function onUnauthenticated(listener: Refusal): void {
  whenSignedOut = listener;
}

/** The address of a path of the node: the console lies one level below its root, wherever that is. */
export function url(path: string, query: Query = {}): string {
  const found = new URL(`../${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) found.searchParams.append(name, String(one));
  }
  return found.href;
}

function text(body: unknown, name: string): string | null {
  if (typeof body !== "object" || body === null || !(name in body)) return null;
  const value: unknown = Reflect.get(body, name);
  return typeof value === "string" ? value : null;
}

async function refusal(response: Response): Promise<ApiError> {
  let body: unknown = null;
  // The kernel's routes refuse in CBOR: their status alone is told then.
  if (response.headers.get("content-type")?.includes("json")) body = await response.json().catch(() => null);
  const after = Number(response.headers.get("retry-after") ?? "");
  const detail = text(body, "detail") ?? `${response.status} ${response.statusText}`;
  return new ApiError(response.status, text(body, "code") ?? `http-${response.status}`, detail, text(body, "field"), after || null);
}

async function send(address: string, init: RequestInit, signal: AbortSignal | undefined): Promise<Response> {
  const headers = new Headers(init.headers);
  const token = currentToken();
  if (token && !headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(address, { ...init, headers, cache: "no-store", credentials: "omit", signal: signal ?? null });
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiError(0, "unreachable", problem instanceof Error ? problem.message : String(problem));
  }
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401) whenSignedOut(error);
  throw error;
}

async function json<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(response.status, "malformed", "the node's answer is no JSON");
  }
}

/** GET /api/v1/`path`. The caller names the type: the shapes of docs/design/console.md, written once in api/. */
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return json<T>(await send(url(`api/v1/${path}`, query), { headers: { accept: "application/json" } }, signal));
}

/** GET as the bearer of another token than this tab's. */
export async function getAs<T>(token: string, path: string): Promise<T> {
  const headers = { accept: "application/json", authorization: `Bearer ${token}` };
  return json<T>(await send(url(`api/v1/${path}`), { headers }, undefined));
}

/** POST /api/v1/`path` with a JSON body. */
export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return json<T>(await send(url(`api/v1/${path}`), { method: "POST", headers, body: JSON.stringify(body) }, signal));
}

/** Bytes of one of the kernel's routes, such as `bundle` or `entries/7/transparent`. */
export async function bytes(path: string, query: Query = {}, signal?: AbortSignal): Promise<Uint8Array> {
  return new Uint8Array(await (await send(url(path, query), {}, signal)).arrayBuffer());
}

/** All items of a list that comes in pages; at most `most`. */
export async function pages<T>(path: string, query: Query, most: number, signal?: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let after: string | number | null = null;
  do {
    const asked: Query = after === null ? query : { ...query, after };
    const page: { items: T[]; next: string | number | null } = await get(path, asked, signal);
    found.push(...page.items);
    after = page.next;
  } while (after !== null && found.length < most);
  return found;
}
