/** Short news at the edge of the screen, also spoken: `say("Copied")`. They go by themselves; nothing stands only there. */

import { useSyncExternalStore } from "react";
import type { JSX } from "react";

import { t } from "../strings/en";
import { Icon } from "./icon";
import type { Level } from "./status";

interface Toast {
  id: number;
  text: string;
  level: Level;
}

const SECONDS = 6;
const listeners = new Set<() => void>();
let toasts: readonly Toast[] = [];
let spoken = "";
let count = 0;

function change(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

/** Show and speak a text. */
export function say(text: string, level: Level = "good"): void {
  const id = ++count;
  spoken = text;
  change([...toasts.slice(-2), { id, text, level }]);
  setTimeout(() => change(toasts.filter((toast) => toast.id !== id)), SECONDS * 1000);
}

/** Speak a text without showing it: for changes that the screen shows already. */
export function announce(text: string): void {
  spoken = text;
  change([...toasts]);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Toasts(): JSX.Element {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <>
      <div className="hidden" role="status" aria-live="polite">{spoken}</div>
      <section className="toasts" aria-label={t("common.notices")}>
        {shown.map(({ id, text, level }) => <div key={id} className="toast"><Icon name={level} />{text}</div>)}
      </section>
    </>
  );
}
