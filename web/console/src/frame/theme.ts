/** Light or dark: as the system says, unless the reader chose. Kept in localStorage; `data-theme` of the root element carries it. */

import { useSyncExternalStore } from "react";

export type Choice = "system" | "light" | "dark";
export const CHOICES: readonly Choice[] = ["system", "light", "dark"];

const KEY = "twinproof.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let choice: Choice = stored();

function stored(): Choice {
  try {
    const kept = window.localStorage.getItem(KEY);
    return CHOICES.find((one) => one === kept) ?? "system";
  } catch {
    return "system";
  }
}

const effective = (): "light" | "dark" => (choice === "system" ? (dark.matches ? "dark" : "light") : choice);

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = effective();
  listeners.forEach((listener) => listener());
}

dark.addEventListener("change", applyTheme);

export function chooseTheme(next: Choice): void {
  choice = next;
  try {
    window.localStorage.setItem(KEY, next);
  } catch {
    // Storage is closed to this page: the choice lives as long as the page.
  }
  applyTheme();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useThemeChoice = (): Choice => useSyncExternalStore(subscribe, () => choice);

/** The theme that is shown: charts on canvas draw anew when it changes. */
export const useTheme = (): "light" | "dark" => useSyncExternalStore(subscribe, effective);
