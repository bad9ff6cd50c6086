// A reader of glTF 2.0 that fetches nothing: geometry alone, out of the file's own bytes. It takes what shapes of machines
// need (nodes, triangles, positions, normals, indices) and leaves materials, images, skins and animations alone: colours
// say health here. Whatever points outside of the file, overlaps its bounds, or is too much is refused.
import { BufferAttribute, BufferGeometry, Group, Matrix4, Mesh, Quaternion, Vector3 } from "three";
import type { Material } from "three";

export const MAX_BYTES = 16 * 1024 * 1024;
const MAX_NODES = 5000;
const MAX_DEPTH = 64;
const MAX_VERTICES = 2_000_000;

/** Why a file is refused; `what` is the place. */
export class BadShape extends Error {
  override readonly name = "BadShape";
  constructor(readonly reason: "size" | "format" | "foreign" | "much", readonly what = "") {
    super(`${reason} ${what}`);
  }
}

type Dict = Readonly<Record<string, unknown>>;

function dict(value: unknown, what: string): Dict {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new BadShape("format", what);
  return value as Dict;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new BadShape("format", what);
  return value;
}

/** A whole number from 0; undefined if it may be left out. */
function whole(value: unknown, what: string, without?: number): number {
  if (value === undefined && without !== undefined) return without;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw new BadShape("format", what);
  return value;
}

function numbers(value: unknown, length: number, what: string): number[] {
  const found = list(value, what);
  if (found.length !== length || !found.every((one) => typeof one === "number" && Number.isFinite(one))) throw new BadShape("format", what);
  return found as number[];
}

interface Container {
  json: Dict;
  buffers: Uint8Array[];
}

const MAGIC = 0x46546c67;
const JSON_CHUNK = 0x4e4f534a;
const BINARY_CHUNK = 0x004e4942;

function parseJson(bytes: Uint8Array): Dict {
  try {
    return dict(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), "JSON");
  } catch (problem) {
    throw problem instanceof BadShape ? problem : new BadShape("format", "JSON");
  }
}

function open(bytes: Uint8Array): Container {
  if (bytes.length > MAX_BYTES) throw new BadShape("size");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let json: Dict;
  let binary: Uint8Array | null = null;
  if (bytes.length >= 20 && view.getUint32(0, true) === MAGIC) {
    if (view.getUint32(4, true) !== 2) throw new BadShape("format", "version");
    const length = view.getUint32(12, true);
    if (view.getUint32(16, true) !== JSON_CHUNK || 20 + length > bytes.length) throw new BadShape("format", "chunk");
    json = parseJson(bytes.subarray(20, 20 + length));
    const next = 20 + length;
    if (next + 8 <= bytes.length) {
      const size = view.getUint32(next, true);
      if (view.getUint32(next + 4, true) !== BINARY_CHUNK || next + 8 + size > bytes.length) throw new BadShape("format", "chunk");
      binary = bytes.subarray(next + 8, next + 8 + size);
    }
  } else json = parseJson(bytes);
  if (!String(dict(json["asset"], "asset")["version"]).startsWith("2.")) throw new BadShape("format", "asset.version");
  if (list(json["extensionsRequired"], "extensionsRequired").length) throw new BadShape("format", "extensionsRequired");
  return { json, buffers: list(json["buffers"], "buffers").map((one, at) => bufferOf(dict(one, "buffers"), at, binary)) };
}

function bufferOf(buffer: Dict, at: number, binary: Uint8Array | null): Uint8Array {
  const { uri } = buffer;
  if (uri === undefined) {
    if (at !== 0 || !binary) throw new BadShape("format", "buffers");
    return binary;
  }
  const found = typeof uri === "string" ? /^data:[a-z0-9.+/-]*;base64,([A-Za-z0-9+/]*={0,2})$/i.exec(uri) : null;
  if (!found) throw new BadShape("foreign");
  try {
    return Uint8Array.from(atob(found[1] ?? ""), (one) => one.charCodeAt(0));
  } catch {
    throw new BadShape("format", "buffers");
  }
}

type Read = (view: DataView, at: number) => number;
/** Component type -> bytes, reader. */
const COMPONENTS: Readonly<Record<number, readonly [number, Read]>> = {
  5121: [1, (view, at) => view.getUint8(at)],
  5123: [2, (view, at) => view.getUint16(at, true)],
  5125: [4, (view, at) => view.getUint32(at, true)],
  5126: [4, (view, at) => view.getFloat32(at, true)],
};

class Reader {
  #vertices = 0;
  #nodes = 0;

  constructor(readonly container: Container, readonly material: (names: readonly string[]) => Material) {}

  #numbers(index: unknown, width: 1 | 3, what: string): number[] {
    const { json, buffers } = this.container;
    const accessor = dict(list(json["accessors"], "accessors")[whole(index, what)], what);
    const [size, read] = COMPONENTS[whole(accessor["componentType"], what)] ?? [];
    if (!size || !read || accessor["sparse"] !== undefined || accessor["type"] !== (width === 3 ? "VEC3" : "SCALAR")) throw new BadShape("format", what);
    if ((width === 3) !== (accessor["componentType"] === 5126)) throw new BadShape("format", what);
    const count = whole(accessor["count"], what);
    this.#vertices += count;
    if (this.#vertices > MAX_VERTICES) throw new BadShape("much");
    const part = dict(list(json["bufferViews"], "bufferViews")[whole(accessor["bufferView"], what)], what);
    const bytes = buffers[whole(part["buffer"], what)];
    const start = whole(part["byteOffset"], what, 0) + whole(accessor["byteOffset"], what, 0);
    const stride = whole(part["byteStride"], what, size * width);
    const end = whole(part["byteOffset"], what, 0) + whole(part["byteLength"], what);
    if (!bytes || stride < size * width || end > bytes.length || (count && start + stride * (count - 1) + size * width > end)) throw new BadShape("format", what);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found: number[] = [];
    for (let at = 0; at < count; at += 1) {
      for (let step = 0; step < width; step += 1) {
        const value = read(view, start + at * stride + step * size);
        if (!Number.isFinite(value)) throw new BadShape("format", what);
        found.push(value);
      }
    }
    return found;
  }

  #mesh(index: unknown, names: readonly string[]): Group {
    const mesh = dict(list(this.container.json["meshes"], "meshes")[whole(index, "mesh")], "mesh");
    const group = new Group();
    const all = [...names, ...(typeof mesh["name"] === "string" ? [mesh["name"]] : [])];
    for (const one of list(mesh["primitives"], "primitives")) {
      const primitive = dict(one, "primitives");
      // Points, lines, strips and fans are no bodies of machines.
      if (whole(primitive["mode"], "mode", 4) !== 4) continue;
      const attributes = dict(primitive["attributes"], "attributes");
      const positions = this.#numbers(attributes["POSITION"], 3, "POSITION");
      const geometry = new BufferGeometry();
      geometry.setAttribute("position", new BufferAttribute(Float32Array.from(positions), 3));
      if (primitive["indices"] !== undefined) {
        const indices = this.#numbers(primitive["indices"], 1, "indices");
        if (indices.some((vertex) => vertex >= positions.length / 3)) throw new BadShape("format", "indices");
        geometry.setIndex(new BufferAttribute(Uint32Array.from(indices), 1));
      }
      geometry.computeVertexNormals();
      group.add(new Mesh(geometry, this.material(all)));
    }
    return group;
  }

  node(index: unknown, names: readonly string[], depth: number): Group {
    this.#nodes += 1;
    // A node that holds itself ends here too.
    if (depth > MAX_DEPTH || this.#nodes > MAX_NODES) throw new BadShape("much");
    const node = dict(list(this.container.json["nodes"], "nodes")[whole(index, "nodes")], "nodes");
    const all = typeof node["name"] === "string" ? [...names, node["name"]] : names;
    const group = node["mesh"] === undefined ? new Group() : this.#mesh(node["mesh"], all);
    placed(group, node);
    for (const child of list(node["children"], "children")) group.add(this.node(child, all, depth + 1));
    return group;
  }
}

function placed(group: Group, node: Dict): void {
  if (node["matrix"] !== undefined) {
    group.applyMatrix4(new Matrix4().fromArray(numbers(node["matrix"], 16, "matrix")));
    return;
  }
  if (node["translation"] !== undefined) group.position.copy(new Vector3().fromArray(numbers(node["translation"], 3, "translation")));
  if (node["rotation"] !== undefined) group.quaternion.copy(new Quaternion().fromArray(numbers(node["rotation"], 4, "rotation")).normalize());
  if (node["scale"] !== undefined) group.scale.copy(new Vector3().fromArray(numbers(node["scale"], 3, "scale")));
}

/** The scene of a .glb or .gltf; `material` gets the names of a mesh and of the nodes above it. Throws `BadShape`. */
export function readShape(bytes: Uint8Array, material: (names: readonly string[]) => Material): Group {
  const container = open(bytes);
  const { json } = container;
  const scenes = list(json["scenes"], "scenes");
  const scene = dict(scenes[whole(json["scene"], "scene", 0)], "scenes");
  const reader = new Reader(container, material);
  const whole3d = new Group();
  for (const node of list(scene["nodes"], "nodes")) whole3d.add(reader.node(node, [], 0));
  return whole3d;
}
