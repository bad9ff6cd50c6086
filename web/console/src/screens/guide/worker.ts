/** The worker that replays predictions, as a file of the console's own. */
export const startReplay = (): Worker => new Worker(new URL("../../../../page/replay-worker.ts", import.meta.url), { type: "module" });
