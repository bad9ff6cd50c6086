/** What the verifier throws. Nothing else leaves it, whatever bytes come. */

/** Input that breaks a rule of the specification: the field, and the rule. Without a field the rule is a whole sentence. */
export class Refused extends Error {
  override readonly name: string = "Refused";

  constructor(
    readonly field: string,
    readonly reason: string,
  ) {
    super(field === "" ? reason : `${field}: ${reason}`);
  }
}

/** A step of a verification that failed, with everything that it found (spec/evidence.md). */
export class VerificationFailed extends Error {
  override readonly name: string = "VerificationFailed";

  constructor(
    readonly step: number,
    readonly title: string,
    readonly problems: readonly string[],
  ) {
    super(`step ${step} (${title}): ${problems.join("; ")}`);
  }
}

/** Refuse unless the condition holds. */
export function demand(condition: boolean, field: string, reason: string): asserts condition {
  if (!condition) throw new Refused(field, reason);
}

/** What an error says, if it is a refusal of input; every other error is a defect and goes on. */
export function refusal(error: unknown): string {
  if (error instanceof Refused || error instanceof VerificationFailed) return error.message;
  throw error;
}
