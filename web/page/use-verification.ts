import { useEffect, useState } from "react";

import { Checker } from "./client";
import type { StartWorker, Verdict } from "./client";
import type { Evidence } from "./protocol";
import type { Trusting } from "./trust";

/** One verification as it goes. */
export interface Course {
  /** What each step that passed found, in order. */
  readonly found: readonly string[];
  readonly verdict: Verdict | null;
  /** Of the verifier itself: no verdict. */
  readonly defect: Error | null;
  /** How long it took, in seconds. */
  readonly seconds: number;
  /** Answers questions about the verified history, until the next verification. */
  readonly checker: Checker | null;
}

const BEGINNING: Course = { found: [], verdict: null, defect: null, seconds: 0, checker: null };

/** Verify in a worker whenever evidence or trust are others. */
export function useVerification(evidence: Evidence | null, trust: Trusting | null, start: StartWorker): Course {
  const [course, setCourse] = useState<Course>(BEGINNING);
  useEffect(() => {
    setCourse(BEGINNING);
    if (!evidence || !trust) return undefined;
    const checker = new Checker(start);
    const began = performance.now();
    let open = true;
    const change = (next: Partial<Course>): void => {
      if (open) setCourse((before) => ({ ...before, ...next }));
    };
    const { policy, operator, blocks } = trust;
    checker.verify(evidence, { policy, operator, blocks }, (_, text) => {
      if (open) setCourse((before) => ({ ...before, found: [...before.found, text] }));
    }).then(
      (verdict) => change({ verdict, checker, seconds: (performance.now() - began) / 1000 }),
      (error: unknown) => change({ defect: error instanceof Error ? error : new Error(String(error)) }),
    );
    return () => {
      open = false;
      checker.close();
    };
  }, [evidence, trust, start]);
  return course;
}
