// The twin's neighbourhood: what it says itself, and what others say of it, within two steps.
import { ApiError } from "../../api/client";
import type { Json, State } from "../../api/twin";
import { askGraph } from "../../api/twin";

export interface Node {
  iri: string;
  model: string | null;
  /** Standing alarms; null for what the log holds nothing about. */
  alarms: number | null;
}

export interface Edge {
  from: string;
  to: string;
  name: string;
}

export interface Neighbourhood {
  nodes: Map<string, Node>;
  edges: Edge[];
  /** The reader may not query the graph. */
  refused: boolean;
  more: boolean;
}

const LIMIT = 120;
const TWIN = "b.iri, b.model, b.alarms";
const QUERIES: readonly (readonly [query: string, outward: boolean, far: boolean])[] = [
  [`MATCH (a {iri: $iri})-[r]->(b) RETURN type(r), ${TWIN} LIMIT ${LIMIT}`, true, false],
  [`MATCH (a {iri: $iri})<-[r]-(b) RETURN type(r), ${TWIN} LIMIT ${LIMIT}`, false, false],
  [`MATCH (a {iri: $iri})-[q]-(n)-[r]->(b) RETURN type(r), ${TWIN}, n.iri LIMIT ${LIMIT}`, true, true],
  [`MATCH (a {iri: $iri})-[q]-(n)<-[r]-(b) RETURN type(r), ${TWIN}, n.iri LIMIT ${LIMIT}`, false, true],
];

const text = (value: Json | undefined): string | null => (typeof value === "string" ? value : null);

export async function neighbourhood(state: State, signal: AbortSignal): Promise<Neighbourhood> {
  const found: Neighbourhood = { nodes: new Map(), edges: [], refused: false, more: false };
  const known = new Set<string>();
  const link = (from: string, name: string, to: string): void => {
    const key = JSON.stringify([from, name, to]);
    if (!known.has(key)) found.edges.push({ from, to, name });
    known.add(key);
  };
  try {
    const answers = await Promise.all(QUERIES.map(([query]) => askGraph(query, { iri: state.sub }, signal)));
    answers.forEach((answer, at) => {
      const [, outward, far] = QUERIES[at] ?? ["", true, false];
      found.more ||= answer.more;
      for (const [type, iri, model, alarms, near] of answer.rows) {
        const other = text(iri);
        const middle = far ? text(near) : state.sub;
        if (other === null || middle === null) continue;
        found.nodes.set(other, { iri: other, model: text(model), alarms: typeof alarms === "number" ? alarms : 0 });
        if (outward) link(middle, text(type) ?? "", other);
        else link(other, text(type) ?? "", middle);
      }
    });
  } catch (problem) {
    if (!(problem instanceof ApiError) || problem.status !== 403) throw problem;
    found.refused = true;
  }
  // What the log holds nothing about leads nowhere in the graph; the twin names it all the same.
  for (const { name, target } of state.relationships) link(state.sub, name, target);
  const own = Object.keys(state.alarms).length;
  found.nodes.set(state.sub, { iri: state.sub, model: text(state.model?.value), alarms: own });
  for (const { from, to } of found.edges) {
    for (const iri of [from, to]) if (!found.nodes.has(iri)) found.nodes.set(iri, { iri, model: null, alarms: null });
  }
  return found;
}
