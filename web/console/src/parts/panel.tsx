import { useEffect, useId } from "react";
import type { JSX, ReactNode } from "react";

import { t } from "../strings/en";
import "./base.css";

interface PanelProps {
  title: ReactNode;
  /** Buttons and marks at the right of the head. */
  actions?: ReactNode;
  /** The body without padding, as for tables. */
  flush?: boolean;
  level?: 2 | 3;
  children: ReactNode;
}

/** A region with a heading. */
export function Panel({ title, actions, flush = false, level = 2, children }: PanelProps): JSX.Element {
  const id = useId();
  const Heading = level === 2 ? "h2" : "h3";
  return (
    <section className={flush ? "panel panel-flush" : "panel"} aria-labelledby={id}>
      <div className="panel-head">
        <Heading id={id}>{title}</Heading>
        {actions && <div className="row">{actions}</div>}
      </div>
      <div className="panel-body">{children}</div>
    </section>
  );
}

/** A screen: its heading, which also names the document, and what stands at the heading's right. */
export function Screen({ title, heading, actions, children }: { title: string; heading?: ReactNode; actions?: ReactNode; children: ReactNode }): JSX.Element {
  useTitle(title);
  return (
    <div className="screen">
      <div className="screen-head">
        <h1>{heading ?? title}</h1>
        {actions && <div className="row">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${t("common.product")}`;
  }, [title]);
}
