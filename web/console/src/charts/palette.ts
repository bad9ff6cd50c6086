// Colours of the canvases, taken from the style sheet, so that both schemes and both pages share them.
import { useEffect, useState } from "react";

export interface Palette {
  text: string;
  muted: string;
  line: string;
  surface: string;
  watch: string;
  act: string;
  series: readonly string[];
}

const NAMES = ["text", "muted", "line", "surface", "watch", "act"] as const;
const SERIES = 6;

/** Dashes beside colours: lines are told apart without seeing colours. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 4], [12, 4]];

/** Values of the custom properties as colours; `probe` stands where they hold. */
export function readPalette(probe: HTMLElement): Palette {
  const read = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const [text = "", muted = "", line = "", surface = "", watch = "", act = ""] = NAMES.map(read);
  const series = Array.from({ length: SERIES }, (_, number) => read(`series-${String(number + 1)}`));
  probe.style.color = "";
  return { text, muted, line, surface, watch, act, series };
}

/** The same colour, fainter: for bands. */
export function faint(colour: string, share: number): string {
  return `color-mix(in srgb, ${colour} ${String(Math.round(share * 100))}%, transparent)`;
}

/** A number that changes with the colour scheme. */
export function useScheme(): number {
  const [scheme, setScheme] = useState(0);
  useEffect(() => {
    const changed = (): void => setScheme((number) => number + 1);
    const preference = matchMedia("(prefers-color-scheme: dark)");
    preference.addEventListener("change", changed);
    const observer = new MutationObserver(changed);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
    return () => {
      preference.removeEventListener("change", changed);
      observer.disconnect();
    };
  }, []);
  return scheme;
}
