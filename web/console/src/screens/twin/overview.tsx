// What a twin is now: laid out after its model.
import { useQuery } from "@tanstack/react-query";
import type { JSX } from "react";
import { lazy, Suspense, useCallback, useMemo, useState } from "react";

import { Series } from "../../charts/series";
import { ApiError } from "../../api/client";
import { useLiveQuery } from "../../api/live";
import type { Model, State } from "../../api/twin";
import { getModel, getState } from "../../api/twin";
import { Answered, Empty, Loading, Panel } from "../../parts";
import { t } from "../../strings/en";
import { AlarmsPanel } from "./alarms-panel";
import { CommandsPanel } from "./commands";
import type { Group, SignalRow } from "./layout";
import { firstSignals, propertyGroups, signalGroups } from "./layout";
import { PropertiesPanel } from "./properties";
import { RelationsPanel } from "./relations";
import { RequestsPanel } from "./requests";
import { ValuesPanel } from "./values";

const View3d = lazy(() => import("./model3d/view").then((module) => ({ default: module.View3d })));
const MOST = 6;

export function Overview({ sub, name }: { sub: string; name: string }): JSX.Element {
  const state = useLiveQuery(["state", sub], (signal) => getState(sub, signal), { sub });
  if (state.error instanceof ApiError && state.error.status === 404 && !state.data) return <Empty title={t("twin.unknownTwin")} />;
  return <Answered query={state} lines={12}>{(found) => <Shown state={found} name={name} />}</Answered>;
}

/** The model's summary; null while there is none, or if the log holds none of that name. */
function useModel(state: State): { model: Model | null; settled: boolean } {
  const id = typeof state.model?.value === "string" ? state.model.value : null;
  const query = useQuery({
    queryKey: ["model", id],
    queryFn: ({ signal }) => getModel(id ?? "", signal),
    enabled: id !== null,
    // What is published under an identifier never changes.
    staleTime: Infinity,
    retry: false,
  });
  return { model: query.data ?? null, settled: id === null || !query.isPending };
}

function Shown({ state, name }: { state: State; name: string }): JSX.Element {
  const { model, settled } = useModel(state);
  const signals = useMemo(() => signalGroups(state, model), [state, model]);
  const properties = useMemo(() => propertyGroups(state, model), [state, model]);
  const [picked, setPicked] = useState<readonly string[] | null>(null);
  // Drawings wait for the chart: their code is large, and the values matter more.
  const [calm, setCalm] = useState(false);
  const calmed = useCallback((): void => {
    requestIdleCallback(() => setCalm(true), { timeout: 1000 });
  }, []);
  const first = settled ? firstSignals(signals) : [];
  const chosen = picked ?? first;
  const choose = (signal: string): void => {
    setPicked(chosen.includes(signal) ? chosen.filter((one) => one !== signal) : [...chosen, signal].slice(-MOST));
  };
  const drawn = settled && (calm || chosen.length === 0);
  const waiting = <Panel title={t("twin.view3d")}><Loading lines={6} /></Panel>;
  return (
    <div className="twin-grid">
      <div className="twin-column">
        <ValuesPanel groups={signals} chosen={chosen} choose={choose} />
        <ChartPanel sub={state.sub} groups={signals} chosen={chosen} onShown={calmed} />
        <PropertiesPanel sub={state.sub} groups={properties} />
        <CommandsPanel sub={state.sub} model={model} named={state.model !== null} />
        <RequestsPanel state={state} />
      </div>
      <div className="twin-column">
        <AlarmsPanel state={state} />
        {drawn ? (
          <Suspense fallback={waiting}><View3d state={state} model={model} name={name} /></Suspense>
        ) : waiting}
        {drawn ? <RelationsPanel state={state} name={name} /> : null}
      </div>
    </div>
  );
}

interface ChartPanelProps {
  sub: string;
  groups: readonly Group<SignalRow>[];
  chosen: readonly string[];
  onShown: () => void;
}

function ChartPanel({ sub, groups, chosen, onShown }: ChartPanelProps): JSX.Element {
  const rows = groups.flatMap((group) => group.rows);
  const key = chosen.join("\n");
  const labels = chosen.map((signal) => rows.find((row) => row.name === signal)?.label ?? signal);
  const words = labels.join("\n");
  const signals = useMemo(
    () => (key ? key.split("\n").map((signal, at) => ({ sub, signal, label: words.split("\n")[at] ?? signal })) : []),
    [sub, key, words],
  );
  const times = chosen.flatMap((signal) => rows.find((row) => row.name === signal)?.reading?.time ?? []);
  return (
    <Panel title={t("twin.charts")}>
      {signals.length ? (
        <Series
          signals={signals} label={t("twin.chartLabel", { names: labels.join(", ") })} newest={times.length ? Math.max(...times) : null}
          onShown={onShown}
        />
      ) : <Empty small title={t("twin.chooseSignals")} />}
    </Panel>
  );
}
