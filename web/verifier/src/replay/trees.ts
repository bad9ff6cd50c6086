/** LightGBM's text model, read strictly (spec/model.md, "Trees"): numbers, never code. */

import { Refused, demand } from "../errors.js";

const MAX_TEXT = 33_554_432;
const MAX_TREES = 20_000;
const MAX_LEAVES = 64;
const MAX_LINE = 65_536;
/** Of every number in a model, so that no forecast can overflow. */
export const MAX_NUMBER = 1_000_000_000_000;
export const TOO_BIG = "not all are within ±1e+12";

const END = "end of trees";
const HEADER = [
  "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective", "feature_names",
  "feature_infos", "tree_sizes",
];
const FIXED = [
  ["version", "v4"], ["num_class", "1"], ["num_tree_per_iteration", "1"], ["label_index", "0"], ["objective", "regression"],
] as const;
const TREE = [
  "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
  "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "is_linear", "shrinkage",
];
const INTEGER = /^-?[0-9]{1,9}$/;
const FLOAT = /^-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?$/;

/** Inner nodes from 0, the root first; a child below 0 is the leaf ~child. */
interface Tree {
  readonly features: readonly number[];
  readonly thresholds: readonly number[];
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly values: readonly number[];
}

/** All trees of a member, one after the other. */
export class Forest {
  /** Where each tree begins. */
  private readonly roots: Int32Array;
  private readonly features: Int32Array;
  private readonly thresholds: Float64Array;
  /** Left and right child of each node; below 0, the leaf ~child. */
  private readonly children: Int32Array;
  private readonly values: Float64Array;

  constructor(trees: readonly Tree[]) {
    const inner = trees.reduce((count, tree) => count + tree.features.length, 0);
    this.roots = new Int32Array(trees.length);
    this.features = new Int32Array(inner);
    this.thresholds = new Float64Array(inner);
    this.children = new Int32Array(2 * inner);
    this.values = new Float64Array(trees.reduce((count, tree) => count + tree.values.length, 0));
    let node = 0;
    let leaf = 0;
    for (const [number, tree] of trees.entries()) {
      const moved = (child: number): number => (child < 0 ? child - leaf : child + node);
      this.roots[number] = tree.features.length ? node : ~leaf;
      this.features.set(tree.features, node);
      this.thresholds.set(tree.thresholds, node);
      this.values.set(tree.values, leaf);
      for (const [at, left] of tree.left.entries()) {
        this.children[2 * (node + at)] = moved(left);
        this.children[2 * (node + at) + 1] = moved(tree.right[at]!);
      }
      node += tree.features.length;
      leaf += tree.values.length;
    }
  }

  answer(row: Float64Array): number {
    const { features, thresholds, children, values } = this;
    let total = 0;
    for (const root of this.roots) {
      let node = root;
      while (node >= 0) node = children[2 * node + (row[features[node]!]! <= thresholds[node]! ? 0 : 1)]!;
      total += values[~node]!;
    }
    return total;
  }
}

/** The trees of a text that reads so many features. */
export function parseTrees(data: Uint8Array, features: number, what: string): Forest {
  demand(data.length <= MAX_TEXT, what, `more than ${MAX_TEXT} bytes`);
  const blocks = ascii(data, what).split("\n\n\n");
  demand(blocks.pop() === `${END}\n`, what, `does not end with the line '${END}'`);
  const start = blocks[0] ?? "";
  const parted = start.indexOf("\n\n");
  demand(parted >= 0, what, "has no trees");
  const count = header(start.slice(0, parted), features, what);
  blocks[0] = start.slice(parted + 2);
  demand(count === blocks.length, what, `tree_sizes names ${count} trees, there are ${blocks.length}`);
  demand(count <= MAX_TREES, what, `more than ${MAX_TREES} trees`);
  return new Forest(blocks.map((block, number) => parseTree(block, number, features, `${what}.${number}`)));
}

function ascii(data: Uint8Array, what: string): string {
  demand(data.every((byte) => byte < 0x80), what, "not ASCII");
  return new TextDecoder("utf-8").decode(data);
}

function header(block: string, features: number, what: string): number {
  const lines = block.split("\n");
  demand(lines[0] === "tree" && lines.length === 1 + HEADER.length, what, "has not the header's lines");
  const found = pairs(lines.slice(1), HEADER, what);
  for (const [key, wanted] of FIXED) demand(found.get(key) === wanted, `${what}.${key}`, `not ${wanted}`);
  demand(found.get("max_feature_idx") === `${features - 1}`, `${what}.max_feature_idx`, `not ${features - 1}`);
  for (const key of ["feature_names", "feature_infos"]) {
    demand(found.get(key)!.split(" ").length === features, `${what}.${key}`, `not of ${features} features`);
  }
  return found.get("tree_sizes")!.split(" ").length;
}

function parseTree(block: string, number: number, features: number, what: string): Tree {
  const lines = block.split("\n");
  demand(lines[0] === `Tree=${number}`, what, `does not begin with Tree=${number}`);
  const found = pairs(lines.slice(1), TREE, what);
  const numbers = (key: string, count: number, form: RegExp): number[] => tokens(found.get(key)!, count, form, `${what}.${key}`);
  const floats = (key: string, count: number): number[] => {
    const list = numbers(key, count, FLOAT);
    demand(list.every((x) => -MAX_NUMBER <= x && x <= MAX_NUMBER), `${what}.${key}`, TOO_BIG);
    return list;
  };
  const leaves = numbers("num_leaves", 1, INTEGER)[0]!;
  demand(leaves <= MAX_LEAVES, `${what}.num_leaves`, `more than ${MAX_LEAVES}`);
  demand(leaves >= 1, `${what}.num_leaves`, "not 1 or more");
  for (const key of ["num_cat", "is_linear"]) demand(found.get(key) === "0", `${what}.${key}`, "not 0");
  const inner = leaves - 1;
  const kinds = numbers("decision_type", inner, INTEGER);
  const numerical = "not numerical without missing values (0 or 2)";
  demand(kinds.every((kind) => kind === 0 || kind === 2), `${what}.decision_type`, numerical);
  const split = numbers("split_feature", inner, INTEGER);
  const there = split.every((feature) => feature >= 0 && feature < features);
  demand(there, `${what}.split_feature`, `not all are in 0..${features - 1}`);
  const tree = {
    features: split,
    thresholds: floats("threshold", inner),
    left: numbers("left_child", inner, INTEGER),
    right: numbers("right_child", inner, INTEGER),
    values: floats("leaf_value", leaves),
  };
  checkShape(tree, what);
  return tree;
}

/** Every inner node but the root, and every leaf, is the child of exactly one node before it. */
function checkShape({ left, right, values }: Tree, what: string): void {
  const [inner, leaves] = [left.length, values.length];
  const children = new Set([...left, ...right]);
  const inside = [...children].every((child) => child >= -leaves && child < inner && child !== 0);
  // As many different ones as there are nodes and leaves to be children.
  demand(inner === 0 || (inside && children.size === leaves + inner - 1), what, "its children are no tree");
  for (let node = 0; node < inner; node++) {
    const after = [left[node]!, right[node]!].every((child) => child < 0 || child > node);
    demand(after, what, `a child of node ${node} stands before it`);
  }
}

/** Lines `key=value`: these keys in this order. */
function pairs(lines: readonly string[], keys: readonly string[], what: string): ReadonlyMap<string, string> {
  demand(lines.length === keys.length, what, `${lines.length} lines, not ${keys.length}`);
  const found = new Map<string, string>();
  for (const [at, line] of lines.entries()) {
    const key = keys[at]!;
    demand(line.startsWith(`${key}=`), what, `no line ${key}= where it belongs`);
    const value = line.slice(key.length + 1);
    if (value.length > MAX_LINE && key !== "tree_sizes") {
      throw new Refused(`${what}.${key}`, `more than ${MAX_LINE} characters`);
    }
    found.set(key, value);
  }
  return found;
}

/** JavaScript's engines round decimals correctly, as the page asks; the tests try hard ones. Zeros lose their sign. */
function tokens(value: string, count: number, form: RegExp, what: string): number[] {
  const found = value ? value.split(" ") : [];
  demand(found.length === count, what, `${found.length} numbers, not ${count}`);
  demand(found.every((token) => form.test(token)), what, "not all are numbers");
  return found.map((token) => Number(token) + 0);
}
