/** A page's side of the worker. */

import type { Ask, Detail, Evidence, Failure, Proven, StateShown, Summary, Told, Trust } from "./protocol";

export type StartWorker = () => Worker;

export type Verdict =
  | { readonly verdict: "verified"; readonly summary: Summary }
  | { readonly verdict: "proven"; readonly proven: Proven }
  | { readonly verdict: "failed"; readonly failure: Failure };

type Question = { [K in Ask["ask"]]: Omit<Extract<Ask, { ask: K }>, "id" | "ask"> & { ask: K } }[Ask["ask"]];

/** The verifier has a defect: not a verdict about the evidence. */
export class Defect extends Error {
  override readonly name = "Defect";
}

/** One worker; ends with `close`. */
export class Checker {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { hear: (told: Told) => void; fail: (error: Error) => void }>();
  private count = 0;

  constructor(start: StartWorker) {
    this.worker = start();
    this.worker.addEventListener("message", ({ data }: MessageEvent<Told>) => this.waiting.get(data.id)?.hear(data));
    this.worker.addEventListener("error", (event) => {
      const error = new Defect(event.message || "the worker could not start");
      this.waiting.forEach(({ fail }) => fail(error));
      this.waiting.clear();
    });
  }

  close(): void {
    this.worker.terminate();
    this.waiting.clear();
  }

  /** Verify; `onStep` hears of each step of a bundle that passed. */
  async verify(evidence: Evidence, trust: Trust, onStep: (step: number, found: string) => void = () => undefined): Promise<Verdict> {
    const told = await this.ask({ ask: "verify", evidence, trust }, onStep);
    if (told.told === "verified") return { verdict: "verified", summary: told.summary };
    if (told.told === "proven") return { verdict: "proven", proven: told.proven };
    if (told.told === "failed") return { verdict: "failed", failure: told.failure };
    throw new Defect(`${told.told} is no verdict`);
  }

  /** A statement of the verified history, by its position. */
  async detail(at: number): Promise<Detail> {
    const told = await this.ask({ ask: "detail", at });
    if (told.told === "detail") return told.detail;
    throw new Defect(`${told.told} is no detail`);
  }

  /** The twin as it was after that statement. */
  async state(at: number): Promise<StateShown> {
    const told = await this.ask({ ask: "state", at });
    if (told.told === "state") return told.state;
    throw new Defect(`${told.told} is no state`);
  }

  private ask(question: Question, onStep?: (step: number, found: string) => void): Promise<Told> {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, {
        hear: (told) => {
          if (told.told === "step") return onStep?.(told.step, told.found);
          this.waiting.delete(id);
          if (told.told === "defect") reject(new Defect(told.text));
          else resolve(told);
        },
        fail: reject,
      });
      this.worker.postMessage({ ...question, id });
    });
  }
}
