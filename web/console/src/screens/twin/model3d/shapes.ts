// Machines drawn from primitives, for twins without a shape of their own. Axis along x.
import { BoxGeometry, ConeGeometry, CylinderGeometry, Group, Mesh, TorusGeometry } from "three";
import type { BufferGeometry, Material } from "three";

import type { Kind } from "./health";

export type Paint = (part: string, ghost?: boolean) => Material;

function add(group: Group, geometry: BufferGeometry, material: Material, x: number, y = 0, z = 0): Mesh {
  const mesh = new Mesh(geometry, material);
  mesh.position.set(x, y, z);
  group.add(mesh);
  return mesh;
}

/** A cylinder or cone along x. */
function along(group: Group, paint: Material, x: number, length: number, front: number, back: number, open = false): Mesh {
  const mesh = add(group, new CylinderGeometry(back, front, length, 40, 1, open), paint, x);
  mesh.rotation.z = -Math.PI / 2;
  return mesh;
}

function blades(group: Group, paint: Material, x: number, count: number, inner: number, outer: number): void {
  for (let at = 0; at < count; at += 1) {
    const angle = (at / count) * 2 * Math.PI;
    const middle = (inner + outer) / 2;
    const blade = add(group, new BoxGeometry(0.05, outer - inner, 0.16), paint, x, Math.cos(angle) * middle, Math.sin(angle) * middle);
    blade.rotation.x = angle;
    blade.rotateY(0.6);
  }
}

function turbofan(paint: Paint): Group {
  const group = new Group();
  const spinner = add(group, new ConeGeometry(0.28, 0.5, 32), paint("fan"), -1.75);
  spinner.rotation.z = Math.PI / 2;
  blades(group, paint("fan"), -1.45, 22, 0.24, 1.1);
  for (let stage = 0; stage < 5; stage += 1) {
    const x = -1.05 + stage * 0.2;
    const outer = 0.66 - stage * 0.05;
    along(group, paint("compressor"), x, 0.1, outer - 0.12, outer - 0.14);
    blades(group, paint("compressor"), x, 26, outer - 0.14, outer);
  }
  along(group, paint("combustor"), 0.2, 0.6, 0.42, 0.46);
  for (let can = 0; can < 10; can += 1) {
    const angle = (can / 10) * 2 * Math.PI;
    const mesh = along(group, paint("combustor"), 0.2, 0.5, 0.09, 0.09);
    mesh.position.set(0.2, Math.cos(angle) * 0.46, Math.sin(angle) * 0.46);
  }
  for (let stage = 0; stage < 4; stage += 1) {
    const x = 0.65 + stage * 0.2;
    const outer = 0.5 + stage * 0.06;
    along(group, paint("turbine"), x, 0.09, outer - 0.18, outer - 0.18);
    blades(group, paint("turbine"), x, 30, outer - 0.18, outer);
  }
  along(group, paint("nozzle"), 1.62, 0.6, 0.52, 0.26, true);
  const plug = add(group, new ConeGeometry(0.24, 0.7, 32), paint("nozzle"), 1.7);
  plug.rotation.z = -Math.PI / 2;
  // A ghost of a nacelle, so that what is inside is seen.
  along(group, paint("housing", true), -0.75, 1.9, 1.2, 1.1, true);
  along(group, paint("housing", true), 0.75, 1.2, 0.72, 0.62, true);
  const lip = add(group, new TorusGeometry(1.2, 0.06, 12, 60), paint("housing"), -1.7);
  lip.rotation.y = Math.PI / 2;
  return group;
}

function pump(paint: Paint): Group {
  const group = new Group();
  along(group, paint("housing"), -0.7, 0.5, 0.72, 0.72);
  const rim = add(group, new TorusGeometry(0.72, 0.16, 16, 60), paint("housing"), -0.7);
  rim.rotation.y = Math.PI / 2;
  along(group, paint("inlet"), -1.25, 0.6, 0.3, 0.3);
  along(group, paint("inlet"), -1.55, 0.08, 0.42, 0.42);
  add(group, new CylinderGeometry(0.24, 0.24, 0.9, 32), paint("outlet"), -0.7, 1.05, 0.4);
  add(group, new CylinderGeometry(0.36, 0.36, 0.08, 32), paint("outlet"), -0.7, 1.5, 0.4);
  along(group, paint("rotor"), -0.1, 0.8, 0.13, 0.13);
  along(group, paint("rotor"), 0, 0.24, 0.24, 0.24);
  along(group, paint("motor"), 0.95, 1.3, 0.55, 0.55);
  for (let fin = 0; fin < 7; fin += 1) along(group, paint("motor"), 0.45 + fin * 0.16, 0.05, 0.62, 0.62);
  add(group, new BoxGeometry(3, 0.14, 1.2), paint("base"), 0.05, -0.95);
  add(group, new BoxGeometry(0.4, 0.4, 0.7), paint("base"), 0.95, -0.7);
  add(group, new BoxGeometry(0.3, 0.3, 0.7), paint("base"), -0.7, -0.8);
  return group;
}

function block(paint: Paint): Group {
  const group = new Group();
  add(group, new BoxGeometry(1.8, 1.3, 1.3), paint("body"), 0, 0.1);
  add(group, new BoxGeometry(2.2, 0.16, 1.6), paint("base"), 0, -0.7);
  add(group, new CylinderGeometry(0.3, 0.3, 0.3, 32), paint("body"), 0.4, 0.9);
  return group;
}

const MADE: Record<Kind, (paint: Paint) => Group> = { turbofan, pump, block };

export const standIn = (kind: Kind, paint: Paint): Group => MADE[kind](paint);
