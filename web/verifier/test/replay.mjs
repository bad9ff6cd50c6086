// node replay.mjs MODULE CASES: as run.mjs, for the replay of predictions. Models are files; numbers are their bits in hexadecimal.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modulePath, casesPath] = process.argv.slice(2);
const v = await import(pathToFileURL(modulePath).href);
const { cases } = JSON.parse(readFileSync(casesPath, "utf8"));

const bytesOf = (path) => new Uint8Array(readFileSync(path));
const modelsOf = (given) => new Map(Object.entries(given).map(([name, path]) => [name, bytesOf(path)]));

function bits(x) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return Number.isNaN(x) ? "7ff8000000000000" : view.getBigUint64(0).toString(16).padStart(16, "0");
}

function numbers(hex) {
  const data = v.fromHex(hex);
  const view = new DataView(data.buffer);
  return Array.from({ length: data.length / 8 }, (_, at) => view.getFloat64(8 * at));
}

function told({ replayed, differing, unreplayable }) {
  return {
    replayed,
    differing: differing.map((d) => [String(d.entry), d.model, d.field, d.stated ?? null, d.replayed ?? null, d.why]),
    unreplayable: unreplayable.map((u) => [String(u.entry), u.model, u.why]),
  };
}

const answers = {
  /** A history whose signatures nobody checks. */
  history(one) {
    const entries = one.entries.map(([index, raw]) => {
      const statement = v.parseStatement(v.fromHex(raw));
      return { ...v.readPayload(statement).said, index: BigInt(index), statement };
    });
    let progress = [];
    const options = { onProgress: (...at) => (progress = at), ...(one.mostRows === undefined ? {} : { mostRows: one.mostRows }) };
    const start = performance.now();
    const found = v.replayPredictions(entries, modelsOf(one.models), options);
    return { ...told(found), progress, seconds: (performance.now() - start) / 1000 };
  },
  async bundle(one) {
    const history = await v.verifyBundle(v.fromHex(one.data), v.parsePolicy(v.fromHex(one.policy)));
    return told(v.replayPredictions(history.entries, history.blobs));
  },
  /** After each row: the forecast, the features' bits, the drivers. */
  rows(one) {
    const model = v.parseModel(bytesOf(one.modelFile));
    const replayer = new v.Replayer(model);
    const split = model.settings.length;
    return one.rows.map(([cycle, hex]) => {
      const values = numbers(hex);
      replayer.take({ cycle, settings: values.slice(0, split), signals: values.slice(split) });
      const found = replayer.forecast(one.coverage);
      return [
        [found.lower, found.point, found.upper, found.coverage].map(bits).join(""),
        [...found.remarks],
        [...replayer.features].map(bits).join(""),
        Object.fromEntries([...replayer.drivers(found)].map(([name, x]) => [name, bits(x)])),
      ];
    });
  },
  /** The rows of statements' payloads. */
  read(one) {
    const reader = new v.RowReader(one.wanted, one.cycle ?? undefined, one.renewed);
    return one.payloads.map(([contentType, hex, issuedAt]) => {
      const { said } = v.readPayload({ contentType, payload: v.fromHex(hex), issuedAt: BigInt(issuedAt) });
      return reader.take(said).map(({ cycle, settings, signals }) => [cycle, settings.map(bits), signals.map(bits)]);
    });
  },
  model(one) {
    v.parseModel(bytesOf(one.dataFile));
    return true;
  },
};

const results = [];
for (const one of cases) {
  try {
    results.push(await answers[one.ask](one));
  } catch (error) {
    const expected = error instanceof v.Refused || error instanceof v.VerificationFailed;
    results.push(expected ? { refused: error.message, step: error.step ?? null } : { defect: String(error?.stack ?? error) });
  }
}
process.stdout.write(JSON.stringify(results));
