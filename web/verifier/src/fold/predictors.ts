/** The predictors of a subject (spec/prediction.md, "Predictor"). */

import { compareText, toHex } from "../bytes.js";
import { type Value, isBytes } from "../cbor.js";
import type { Fields } from "../fields.js";

const MAX_PREDICTORS = 64;

interface Predictor {
  readonly payload: Fields;
  readonly entry: bigint;
}

const isActive = ({ payload }: Predictor): boolean => payload.get("stage") === "active";

export class PredictorFold {
  /** By the model's hexadecimal digest. */
  private readonly held = new Map<string, Predictor>();

  apply(payload: Fields, entry: bigint): void {
    const digest = payload.get("model");
    const model = isBytes(digest) ? toHex(digest) : "";
    if (payload.get("stage") === "active") this.retire(model, entry);
    this.held.set(model, { payload, entry });
    if (this.held.size <= MAX_PREDICTORS) return;
    const passive = this.sorted().filter(([, predictor]) => !isActive(predictor));
    const [last] = passive.reduce((least, one) => (one[1].entry < least[1].entry ? one : least));
    this.held.delete(last);
  }

  /** The active one of another model is active no longer. */
  private retire(model: string, entry: bigint): void {
    for (const [other, predictor] of this.held) {
      if (other === model || !isActive(predictor)) continue;
      const payload = new Map(predictor.payload);
      payload.set("stage", "retired");
      payload.delete("text");
      this.held.set(other, { payload, entry });
    }
  }

  private sorted(): [string, Predictor][] {
    return [...this.held].sort((a, b) => compareText(a[0], b[0]));
  }

  members(): [string, Value][] {
    return this.held.size ? [["predictors", this.sorted().map(([, { payload, entry }]) => [payload, entry])]] : [];
  }
}
