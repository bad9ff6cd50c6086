/** Predictions of a bundle computed again, in a thread of its own that can be ended: a hostile history can make it long. */

import { parsePolicy, verifyBundle } from "../verifier/src/index";
import type { Trust } from "./protocol";

export interface ReplayAsked {
  readonly bytes: Uint8Array;
  readonly trust: Trust;
}

export interface Replayed {
  readonly replayed: number;
  readonly differing: readonly { readonly entry: number; readonly why: string }[];
  readonly unreplayable: readonly { readonly entry: number; readonly why: string }[];
}

export type ReplayTold =
  | { readonly told: "progress"; readonly done: number; readonly total: number }
  | { readonly told: "replayed"; readonly result: Replayed }
  | { readonly told: "defect"; readonly text: string };

const tell = (told: ReplayTold): void => postMessage(told);

/** The bundle is verified once more: what is replayed is what this thread has verified. */
async function replay({ bytes, trust }: ReplayAsked): Promise<Replayed> {
  const policy = parsePolicy(new TextEncoder().encode(trust.policy));
  const history = await verifyBundle(bytes, policy, { anchors: { blocks: trust.blocks } });
  const { replayPredictions } = await import("../verifier/src/replay");
  let last = 0;
  const onProgress = (done: number, total: number): void => {
    if (done < total && performance.now() - last < 100) return;
    last = performance.now();
    tell({ told: "progress", done, total });
  };
  const { replayed, differing, unreplayable } = replayPredictions(history.entries, history.blobs, { onProgress });
  const plain = ({ entry, why }: { entry: bigint; why: string }): { entry: number; why: string } => ({ entry: Number(entry), why });
  return { replayed, differing: differing.map(plain), unreplayable: unreplayable.map(plain) };
}

addEventListener("message", ({ data }: MessageEvent<ReplayAsked>) => {
  replay(data).then(
    (result) => tell({ told: "replayed", result }),
    (error: unknown) => tell({ told: "defect", text: error instanceof Error ? error.message : String(error) }),
  );
});
