import { useEffect, useState } from "react";

import type { StartWorker } from "./client";
import type { Evidence } from "./protocol";
import type { ReplayAsked, ReplayTold, Replayed } from "./replay-worker";
import type { Trusting } from "./trust";

/** One replay as it goes. */
export interface ReplayCourse {
  readonly done: number;
  readonly total: number;
  readonly result: Replayed | null;
  /** Of the replay itself: no verdict. */
  readonly defect: string | null;
}

const BEGINNING: ReplayCourse = { done: 0, total: 0, result: null, defect: null };

/** Replay a bundle's predictions in a worker once `ready`: when it has been verified. */
export function useReplay(ready: boolean, evidence: Evidence, trust: Trusting, start: StartWorker): ReplayCourse {
  const [course, setCourse] = useState<ReplayCourse>(BEGINNING);
  useEffect(() => {
    setCourse(BEGINNING);
    if (!ready) return undefined;
    const worker = start();
    let open = true;
    const change = (next: Partial<ReplayCourse>): void => {
      if (open) setCourse((before) => ({ ...before, ...next }));
    };
    worker.addEventListener("message", ({ data }: MessageEvent<ReplayTold>) => {
      if (data.told === "progress") change({ done: data.done, total: data.total });
      else if (data.told === "replayed") change({ result: data.result });
      else change({ defect: data.text });
    });
    worker.addEventListener("error", (event) => change({ defect: event.message || "the worker could not start" }));
    const { policy, operator, blocks } = trust;
    const asked: ReplayAsked = { bytes: evidence.bytes, trust: { policy, operator, blocks } };
    worker.postMessage(asked);
    return () => {
      open = false;
      worker.terminate();
    };
  }, [ready, evidence, trust, start]);
  return course;
}
