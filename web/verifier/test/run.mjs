// node run.mjs MODULE CASES: answers the cases of one JSON file, in order, as JSON on standard output.
//
// A case is {"ask": NAME, ...}; bytes are hexadecimal, or of a file where the key ends in "File". The answer is what
// the function below returns; {"refused": message, "step"?: n} if it throws what the verifier may throw, and
// {"defect": stack} for anything else.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modulePath, casesPath] = process.argv.slice(2);
const v = await import(pathToFileURL(modulePath).href);
const { settings, cases } = JSON.parse(readFileSync(casesPath, "utf8"));
if (settings.engine) v.useEngine(settings.engine);

const policies = new Map();

function policyOf(hex) {
  let policy = policies.get(hex);
  if (!policy) policies.set(hex, (policy = v.parsePolicy(v.fromHex(hex))));
  return policy;
}

const bytes = (one, key = "data") =>
  one[`${key}File`] === undefined ? v.fromHex(one[key]) : new Uint8Array(readFileSync(one[`${key}File`]));
const signerOf = (one) => (one.signer === undefined ? undefined : v.parseCoseKey(v.decode(v.fromHex(one.signer), "key"), "key"));
const text = (value) => (value === undefined ? null : String(value));

/** Integers as text, since JSON's numbers are doubles; bytes as hexadecimal. */
function tagged(value) {
  if (typeof value === "bigint") return ["int", String(value)];
  return value instanceof Uint8Array ? ["bytes", v.toHex(value)] : value;
}

function trustOf(given) {
  if (given === undefined) return undefined;
  const expected = given.expected?.map(([chain, contract, logId]) => ({ chain: BigInt(chain), contract, logId }));
  return {
    blocks: given.blocks ?? [],
    ...(given.everything ? { confirms: () => true } : {}),
    ...(expected ? { expected } : {}),
  };
}

const proven = ({ index, size, origin, signerChecked, statement }) => ({
  index: text(index), size: text(size), origin, signerChecked, digest: statement.digestHex,
});

const answers = {
  async bundle(one) {
    const steps = [];
    const history = await v.verifyBundle(bytes(one), policyOf(one.policy), {
      onStep: (step) => steps.push(step),
      ...(one.trust ? { anchors: trustOf(one.trust) } : {}),
    });
    return {
      steps,
      subject: history.subject,
      size: text(history.head.checkpoint.size),
      witnesses: history.head.witnesses,
      operator: history.operator.id,
      entries: history.entries.map((e) => [
        text(e.index), e.kind, e.statement.digestHex, e.grant.id,
        ...[e.time.claimed, e.time.notBefore, e.time.notAfter, e.time.anchored].map(text),
      ]),
      streams: history.streams.map((s) => [s.issuer, s.subject, text(s.first), text(s.last), s.digest]),
      grants: history.authority.grants.map((g) => [g.id, text(history.authority.revokedAt(g))]),
      anchors: history.anchors.map((a) => [text(a.head.size), a.head.blockHash, a.head.transaction, text(a.head.time), a.trusted]),
      remarks: history.remarks.length,
    };
  },
  /** The canonical bytes of the state after each of the twin's statements. */
  async states(one) {
    const history = await v.verifyBundle(bytes(one), policyOf(one.policy));
    const fold = new v.TwinFold(history.subject);
    return history.entries.map(({ index, statement }) => {
      fold.apply(index, statement);
      return v.toHex(fold.canonical());
    });
  },
  transparent: async (one) => proven(await v.verifyTransparent(bytes(one), policyOf(one.policy), signerOf(one))),
  tlogProof: async (one) => proven(await v.verifyTlogProof(bytes(one), bytes(one, "raw"), policyOf(one.policy), signerOf(one))),
  statement: (one) => v.parseStatement(bytes(one)).digestHex,
  policy: (one) => v.parsePolicy(bytes(one)).logs.length,
  payload(one) {
    const { said } = v.readPayload({ contentType: one.contentType, payload: bytes(one), issuedAt: BigInt(one.issuedAt) });
    const rows = said.kind === "readings" ? said.payload : said.kind === "columns" ? [...said.payload.readings()] : [];
    return rows.map(({ name, value, time, sum }) => [name, tagged(value), time, tagged(sum)]);
  },
  cbor(one) {
    v.decode(bytes(one), "CBOR");
    return true;
  },
  receipt: (one) => text(v.parseReceipt(bytes(one)).index),
  signature: async (one) => v.parseCoseKey(v.decode(v.fromHex(one.key), "key"), "key").verifies(bytes(one), v.fromHex(one.signature)),
  thumbprint: (one) => v.parseCoseKey(v.decode(bytes(one), "key"), "key").id,
  signed: (one) => v.toHex(v.signedBytes(v.fromHex(one.header), bytes(one))),
  leaf: (one) => v.toHex(v.hashLeaf(bytes(one))),
  inclusion: (one) => v.toHex(v.inclusionRoot(BigInt(one.index), BigInt(one.size), v.fromHex(one.leaf), one.path.map((h) => v.fromHex(h)))),
  consistency(one) {
    const roots = [v.fromHex(one.root1), v.fromHex(one.root2)];
    v.checkConsistency(BigInt(one.size1), BigInt(one.size2), ...roots, one.path.map((h) => v.fromHex(h)));
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
