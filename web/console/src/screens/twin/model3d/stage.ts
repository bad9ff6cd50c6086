// Camera, light, turning. Draws only when something changed; nothing moves by itself.
import {
  AmbientLight, Box3, BufferAttribute, Color, DirectionalLight, Group, Mesh, PerspectiveCamera, Scene, Spherical, Vector3, WebGLRenderer,
} from "three";

const START = { radius: 6.3, theta: -0.65, phi: 1.15 };

export class Stage {
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(35, 1, 0.01, 100);
  readonly #place = new Spherical(START.radius, START.phi, START.theta);
  #shape: Group | null = null;
  #asked = 0;

  /** Throws if the browser offers no WebGL. */
  constructor(readonly host: HTMLElement) {
    this.#renderer = new WebGLRenderer({ antialias: true, alpha: true });
    this.#renderer.setPixelRatio(Math.min(2, devicePixelRatio));
    this.#renderer.domElement.setAttribute("aria-hidden", "true");
    host.append(this.#renderer.domElement);
    const key = new DirectionalLight(0xffffff, 2.2);
    key.position.set(3, 5, 4);
    const fill = new DirectionalLight(0xffffff, 0.7);
    fill.position.set(-4, -1, -3);
    this.#scene.add(new AmbientLight(0xffffff, 1.1), key, fill);
    this.resize();
  }

  /** Show a shape, in the middle and at a size that fits. */
  show(shape: Group): void {
    this.#drop();
    const center = new Box3().setFromObject(shape).getCenter(new Vector3());
    const radius = farthest(shape, center);
    const holder = new Group();
    holder.add(shape);
    if (radius > 0 && Number.isFinite(radius)) {
      shape.position.sub(center);
      holder.scale.setScalar(2 / radius);
    }
    this.#shape = holder;
    this.#scene.add(holder);
    this.draw();
  }

  turn(right: number, down: number): void {
    this.#place.theta += right;
    this.#place.phi = Math.min(Math.PI - 0.05, Math.max(0.05, this.#place.phi + down));
    this.draw();
  }

  zoom(factor: number): void {
    this.#place.radius = Math.min(20, Math.max(2.6, this.#place.radius * factor));
    this.draw();
  }

  reset(): void {
    this.#place.set(START.radius, START.phi, START.theta);
    this.draw();
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    this.#renderer.setSize(width, height, false);
    this.#camera.aspect = width / height;
    this.#camera.updateProjectionMatrix();
    this.draw();
  }

  draw(): void {
    if (this.#asked) return;
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      // Narrow views need more distance for the same width.
      const distance = Math.max(1, 1.35 / this.#camera.aspect);
      this.#camera.position.copy(new Vector3().setFromSpherical(this.#place)).multiplyScalar(distance);
      this.#camera.lookAt(0, 0, 0);
      this.#renderer.render(this.#scene, this.#camera);
    });
  }

  #drop(): void {
    if (!this.#shape) return;
    this.#scene.remove(this.#shape);
    this.#shape.traverse((one) => {
      if (one instanceof Mesh) one.geometry.dispose();
    });
    this.#shape = null;
  }

  dispose(): void {
    cancelAnimationFrame(this.#asked);
    this.#drop();
    this.#renderer.dispose();
    this.#renderer.forceContextLoss();
    this.#renderer.domElement.remove();
  }
}

/** Distance of the vertex that is farthest from a point: closer than a box's corners. */
function farthest(shape: Group, center: Vector3): number {
  const point = new Vector3();
  let most = 0;
  shape.updateMatrixWorld(true);
  shape.traverse((one) => {
    if (!(one instanceof Mesh)) return;
    const positions: unknown = one.geometry.getAttribute("position");
    if (!(positions instanceof BufferAttribute)) return;
    for (let at = 0; at < positions.count; at += 1) {
      most = Math.max(most, point.fromBufferAttribute(positions, at).applyMatrix4(one.matrixWorld).distanceToSquared(center));
    }
  });
  return Math.sqrt(most);
}

/** Colours of the style sheet as three.js takes them. */
export function readColour(probe: HTMLElement, name: string): Color {
  probe.style.color = `var(--${name})`;
  const found = new Color(getComputedStyle(probe).color);
  probe.style.color = "";
  return found;
}
