/** What the tests ask of the replay's parts. */

export * from "../src/index.js";
export * from "../src/replay.js";
export { decode } from "../src/cbor.js";
export { fromHex, toHex } from "../src/bytes.js";
export { Replayer } from "../src/replay/forecast.js";
export { parseModel } from "../src/replay/model.js";
export { RowReader } from "../src/replay/rows.js";
