import type { JSX } from "react";
import { Link } from "wouter";

export interface Tab {
  id: string;
  label: string;
  href: string;
}

/** Tabs that are addresses: links in a navigation of their own. */
export function Tabs({ label, tabs, current }: { label: string; tabs: readonly Tab[]; current: string }): JSX.Element {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map(({ id, label: name, href }) => <Link key={id} href={href} aria-current={id === current ? "page" : undefined}>{name}</Link>)}
    </nav>
  );
}
