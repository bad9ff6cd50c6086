/** The verifier in a thread of its own: the page stays quick while it works. */

import { Engine } from "./engine";
import type { Ask, Told } from "./protocol";

const engine = new Engine((told: Told) => postMessage(told));

addEventListener("message", (event: MessageEvent<Ask>) => void engine.answer(event.data));
