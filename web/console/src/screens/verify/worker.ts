/** The verifier's worker, as a file of the console's own: the content policy allows no other. */
export const startWorker = (): Worker => new Worker(new URL("../../../../page/worker.ts", import.meta.url), { type: "module" });
