/** Twinproof's second verifier: what the console and the offline page use. */

export { parsePolicy, Policy, type TrustedCheckpoint } from "./policy.js";
export {
  STEPS,
  type AnchorTrust,
  type ExpectedAnchor,
  type History,
  type TimeBracket,
  type VerifiedAnchor,
  type VerifiedEntry,
  type VerifyOptions,
  verifyBundle,
} from "./verify.js";
export { type ProvenStatement, verifyTlogProof, verifyTransparent } from "./single.js";
export { type Statement, parseStatement } from "./statement.js";
export { CONTENT_TYPES, type KindName, type Said, readPayload } from "./kinds/index.js";
export { parseCoseKey, PublicKey, useEngine } from "./keys.js";
export { type CborMap, Tagged, decode as decodeCbor, type Value as CborValue } from "./cbor.js";
export { TwinFold, sha256Hex } from "./fold/twin.js";
export { toHex } from "./bytes.js";
export { Refused, VerificationFailed } from "./errors.js";
