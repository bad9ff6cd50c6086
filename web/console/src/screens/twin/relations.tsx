// What the twin is connected to: a graph for the eye, nested lists for everybody.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";

import type { State } from "../../api/twin";
import { Button, Empty, Entry, Failed, Iri, Loading, Panel, Status } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";
import { modelName } from "./layout";
import type { Edge, Neighbourhood, Node } from "./relations-data";
import { neighbourhood } from "./relations-data";

const GraphCanvas = lazy(() => import("./graph-canvas").then((module) => ({ default: module.GraphCanvas })));

export function RelationsPanel({ state, name }: { state: State; name: string }): JSX.Element {
  const [asList, setAsList] = useState(false);
  const linked = JSON.stringify(state.relationships.map((one) => [one.name, one.target]));
  const { data, error, refetch } = useQuery({
    queryKey: ["neighbourhood", state.sub, linked, Object.keys(state.alarms).length],
    queryFn: ({ signal }) => neighbourhood(state, signal),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
  const some = data !== undefined && data.edges.length > 0;
  const toggle = (list: boolean, label: string): JSX.Element => (
    <Button small aria-pressed={asList === list} onClick={() => setAsList(list)}>{label}</Button>
  );
  return (
    <Panel title={t("twin.relations")} actions={some ? <>{toggle(false, t("twin.graph"))}{toggle(true, t("twin.list"))}</> : null}>
      <div className="stack">
        {error && !data ? <Failed error={error} retry={() => void refetch()} /> : null}
        {data === undefined && !error ? <Loading /> : null}
        {data && !some ? <Empty small title={t("twin.noRelations")} /> : null}
        {data && some && !asList ? (
          <Suspense fallback={<Loading lines={6} />}>
            <GraphCanvas sub={state.sub} found={data} label={t("twin.graphLabel", { name })} />
          </Suspense>
        ) : null}
        {data && some && asList ? <Lists sub={state.sub} found={data} /> : null}
        {data?.refused ? <p className="small muted">{t("twin.graphRefused")}</p> : null}
        {data?.more ? <p className="small muted">{t("twin.more")}</p> : null}
        <Parts state={state} />
      </div>
    </Panel>
  );
}

function Lists({ sub, found }: { sub: string; found: Neighbourhood }): JSX.Element {
  const out = found.edges.filter((edge) => edge.from === sub);
  const back = found.edges.filter((edge) => edge.to === sub && edge.from !== sub);
  return (
    <div className="stack">
      <Direction title={t("twin.outgoing")} edges={out} other={(edge) => edge.to} sub={sub} found={found} />
      <Direction title={t("twin.incoming")} edges={back} other={(edge) => edge.from} sub={sub} found={found} />
    </div>
  );
}

interface DirectionProps {
  title: string;
  edges: readonly Edge[];
  other: (edge: Edge) => string;
  sub: string;
  found: Neighbourhood;
}

function Direction({ title, edges, other, sub, found }: DirectionProps): JSX.Element | null {
  if (!edges.length) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul className="twin-tree">
        {edges.map((edge) => {
          const iri = other(edge);
          const next = found.edges.filter((one) => (one.from === iri || one.to === iri) && one.from !== sub && one.to !== sub);
          return (
            <li key={`${edge.name} ${iri}`}>
              <Leaf relation={edge.name} node={found.nodes.get(iri)} iri={iri} />
              {next.length ? (
                <ul>
                  {next.map((one) => {
                    const outward = one.from === iri;
                    const far = outward ? one.to : one.from;
                    return <li key={`${one.name} ${far}`}><Leaf relation={`${outward ? "" : "← "}${one.name}`} node={found.nodes.get(far)} iri={far} /></li>;
                  })}
                </ul>
              ) : null}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Leaf({ relation, node, iri }: { relation: string; node: Node | undefined; iri: string }): JSX.Element {
  return (
    <span className="row">
      <span className="muted">{relation}</span>
      <Iri iri={iri} twin />
      {node?.model ? <span className="small muted" title={node.model}>{modelName(node.model)}</span> : null}
      {node?.alarms ? <Status level="watch" word={t("twin.standing", { n: node.alarms })} /> : null}
      {node?.alarms === null ? <span className="small muted">{t("twin.silentTwin")}</span> : null}
    </span>
  );
}

/** Parts of which the chain and the technicians tell. */
function Parts({ state }: { state: State }): JSX.Element | null {
  if (!state.installed.length && !state.tokens.length) return null;
  const children = (token: string | null): State["tokens"] => state.tokens.filter((one) => one.parent === token);
  const tokens = new Set(state.tokens.map((one) => one.token));
  const tops = state.tokens.filter((one) => one.parent === null || !tokens.has(one.parent));
  const item = (one: State["tokens"][number], depth: number): JSX.Element => (
    <li key={`${one.contract} ${one.token}`}>
      <span className="row"><Link href={paths.part(one.token)}>{t("twin.part", { token: one.token })}</Link><span className="muted">{one.status}</span><Entry index={one.entry} /></span>
      {depth < 8 && children(one.token).length ? <ul>{children(one.token).map((child) => item(child, depth + 1))}</ul> : null}
    </li>
  );
  return (
    <div className="stack">
      {state.tokens.length ? <div><h3>{t("twin.tokens")}</h3><ul className="twin-tree">{tops.map((one) => item(one, 0))}</ul></div> : null}
      {state.installed.length ? (
        <div>
          <h3>{t("twin.installedParts")}</h3>
          <ul className="twin-tree">
            {state.installed.map((one) => (
              <li key={`${one.part} ${String(one.entry)}`}><span className="row"><Link href={paths.part(one.part)}>{t("twin.part", { token: one.part })}</Link><Entry index={one.entry} /></span></li>
            ))}
          </ul>
        </div>
      ) : null}
    </div>
  );
}

