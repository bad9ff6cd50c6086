// The twin as a body: parts in the colour of their health, and a list that says the same.
import { sha256 } from "@noble/hashes/sha2";
import { useQuery } from "@tanstack/react-query";
import type { JSX, KeyboardEvent, PointerEvent } from "react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Group, Material } from "three";
import { MeshStandardMaterial } from "three";

import { useScheme } from "../../../charts/palette";
import { ApiError } from "../../../api/client";
import type { Json, Model, State } from "../../../api/twin";
import { getBlob, getState } from "../../../api/twin";
import { Panel, Status } from "../../../parts";
import type { Level } from "../../../parts";
import { t } from "../../../strings/en";
import { BadShape, MAX_BYTES, readShape } from "./gltf";
import type { PartHealth } from "./health";
import { fileParts, kindOf, partKey, PARTS, partsHealth } from "./health";
import { standIn } from "./shapes";
import { readColour, Stage } from "./stage";

/** Property, of the twin or of its model, that names the glTF file by its SHA-256. */
const PROPERTY = "model3d";

interface ViewProps {
  state: State;
  model: Model | null;
  name: string;
}

export function View3d({ state, model, name }: ViewProps): JSX.Element {
  const file = useShape(state);
  const kind = kindOf(typeof state.model?.value === "string" ? state.model.value : null);
  const { data: bytes } = file;
  const names = useMemo(() => (bytes ? namesIn(bytes) : null), [bytes]);
  const known = names && "names" in names ? fileParts(names.names, model) : PARTS[kind];
  const health = partsHealth(state, known, kind);
  const spoken = JSON.stringify(health.map((part) => [part.key, part.level]));
  const ready = file.digest === null || !file.pending;
  const reason = file.problem ?? (names && "problem" in names ? names.problem : null);
  const taken = bytes && names && "names" in names ? bytes : null;
  const note = taken ? t("twin.view3dFile", { digest: `${file.digest?.slice(0, 12) ?? ""}…` }) : reason ? t("twin.view3dBad", { reason }) : t("twin.view3dOwn");
  const make = useMemo(
    () => (paint: (part: string, ghost?: boolean) => Material): Group => (taken ? readShape(taken, (all) => paint(bestOf(all, JSON.parse(spoken)))) : standIn(kind, paint)),
    [taken, kind, spoken],
  );
  return (
    <Panel title={t("twin.view3d")}>
      <div className="stack">
        {ready ? <Canvas make={make} spoken={spoken} label={t("twin.view3dLabel", { name })} /> : null}
        <p className="small muted">{note}</p>
        <PartList parts={health} />
      </div>
    </Panel>
  );
}

/** Of the names of a mesh and the nodes above it, the innermost that is a part that is not well; else the innermost. */
function bestOf(names: readonly string[], spoken: [string, Level][]): string {
  const keys = names.map(partKey).reverse();
  return keys.find((key) => spoken.some(([part, level]) => part === key && level !== "good")) ?? keys[0] ?? "";
}

interface Shape {
  digest: string | null;
  data: Uint8Array | undefined;
  pending: boolean;
  problem: string | null;
}

const digestIn = (value: Json | undefined): string | null =>
  typeof value === "string" ? (/^(?:\/?blobs\/)?([0-9a-f]{64})$/.exec(value)?.[1] ?? null) : null;

function useShape(state: State): Shape {
  const own = digestIn(state.properties[PROPERTY]?.value);
  const model = typeof state.model?.value === "string" ? state.model.value : null;
  const shared = useQuery({
    queryKey: ["state", "of model", model],
    queryFn: async ({ signal }) => {
      try {
        return digestIn((await getState(model ?? "", signal)).properties[PROPERTY]?.value);
      } catch (problem) {
        // A model of which nothing is described, or which the token does not cover, names no file.
        if (problem instanceof ApiError && [403, 404].includes(problem.status)) return null;
        throw problem;
      }
    },
    enabled: own === null && model !== null,
    staleTime: 300_000,
    retry: false,
  });
  const digest = own ?? shared.data ?? null;
  const file = useQuery({
    queryKey: ["blob", digest],
    queryFn: async ({ signal }) => {
      const bytes = await getBlob(digest ?? "", signal);
      const found = Array.from(sha256(bytes), (one) => one.toString(16).padStart(2, "0")).join("");
      return found === digest ? bytes : null;
    },
    enabled: digest !== null,
    staleTime: Infinity,
    gcTime: 60_000,
    retry: false,
  });
  const missing = file.error !== null || file.data === null;
  return {
    digest, data: file.data ?? undefined,
    pending: (own === null && model !== null && shared.isPending) || (digest !== null && file.isPending),
    problem: missing ? t("twin.gltfMissing") : null,
  };
}

/** The names of what can be coloured, or why the file is not taken. */
function namesIn(bytes: Uint8Array): { names: string[] } | { problem: string } {
  const names: string[] = [];
  try {
    const none = new MeshStandardMaterial();
    readShape(bytes, (all) => {
      names.push(...all);
      return none;
    });
    return { names: [...new Set(names)].slice(0, 200) };
  } catch (problem) {
    if (!(problem instanceof BadShape)) throw problem;
    const words = {
      size: t("twin.gltfSize", { n: MAX_BYTES / 1024 / 1024 }), format: t("twin.gltfFormat", { what: problem.what }),
      foreign: t("twin.gltfForeign"), much: t("twin.gltfMuch"),
    };
    return { problem: words[problem.reason] };
  }
}

interface CanvasProps {
  make: (paint: (part: string, ghost?: boolean) => Material) => Group;
  spoken: string;
  label: string;
}

function Canvas({ make, spoken, label }: CanvasProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | null>(null);
  const [absent, setAbsent] = useState(false);
  const scheme = useScheme();
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    let made: Stage;
    try {
      made = new Stage(element);
    } catch {
      // three.js throws a plain Error where there is no WebGL; nothing else is done in there.
      setAbsent(true);
      return undefined;
    }
    stage.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.dispose();
      stage.current = null;
    };
  }, []);
  useEffect(() => {
    const element = host.current;
    if (!element || !stage.current) return;
    stage.current.show(make(painter(element, JSON.parse(spoken))));
  }, [make, spoken, scheme]);
  if (absent) return <p role="status">{t("twin.view3dNone")}</p>;
  return (
    <div
      ref={host} className="twin-3d" role="application" aria-roledescription={t("twin.view3d")} aria-label={label} aria-description={t("twin.view3dKeys")}
      title={t("twin.view3dKeys")} tabIndex={0} onKeyDown={(event) => onKey(event, stage.current)}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => onDrag(event, stage.current)}
    />
  );
}

function onDrag(event: PointerEvent, stage: Stage | null): void {
  if (!stage || !(event.buttons & 1)) return;
  stage.turn(-event.movementX * 0.01, -event.movementY * 0.01);
}

function onKey(event: KeyboardEvent, stage: Stage | null): void {
  if (!stage || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions: Record<string, () => void> = {
    ArrowLeft: () => stage.turn(-0.15, 0), ArrowRight: () => stage.turn(0.15, 0), ArrowUp: () => stage.turn(0, -0.15),
    ArrowDown: () => stage.turn(0, 0.15), "+": () => stage.zoom(0.85), "=": () => stage.zoom(0.85), "-": () => stage.zoom(1.18),
    "0": () => stage.reset(),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** One material for each level, opaque and ghostly. */
function painter(probe: HTMLElement, spoken: [string, Level][]): (part: string, ghost?: boolean) => Material {
  const levels = new Map(spoken);
  const made = new Map<string, Material>();
  return (part, ghost = false) => {
    const level = levels.get(part) ?? "good";
    const key = `${level} ${String(ghost)}`;
    let found = made.get(key);
    if (!found) {
      const colour = readColour(probe, level === "good" ? "line-strong" : level);
      found = new MeshStandardMaterial({ color: colour, roughness: 0.55, metalness: 0.25, transparent: ghost, opacity: ghost ? 0.16 : 1, depthWrite: !ghost });
      made.set(key, found);
    }
    return found;
  };
}

function PartList({ parts }: { parts: readonly PartHealth[] }): JSX.Element {
  return (
    <table className="twin-table">
      <caption className="hidden">{t("twin.view3d")}</caption>
      <thead><tr><th scope="col">{t("twin.view3dPart")}</th><th scope="col">{t("twin.view3dState")}</th><th scope="col">{t("twin.view3dWhy")}</th></tr></thead>
      <tbody>
        {parts.slice(0, 40).map((part) => (
          <tr key={part.key}>
            <th scope="row">{part.label}</th>
            <td><Status level={part.level} {...(part.level === "info" ? { word: t("twin.view3dInvolved") } : {})} /></td>
            <td className="small">{part.why.length ? part.why.join("; ") : <span className="muted">{t("twin.view3dGood")}</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
