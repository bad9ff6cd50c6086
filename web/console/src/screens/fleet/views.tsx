/** Views that the reader keeps: a name and what stands in the address. In localStorage, on this computer alone. */

import { useState } from "react";
import type { FormEvent, JSX } from "react";
import { Link } from "wouter";

import { Button, Dialog, Field, say } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";

const KEY = "twinproof.views";
const MOST = 30;

interface Saved {
  name: string;
  search: string;
}

function isSaved(one: unknown): one is Saved {
  if (typeof one !== "object" || one === null) return false;
  return typeof Reflect.get(one, "name") === "string" && typeof Reflect.get(one, "search") === "string";
}

function load(): Saved[] {
  try {
    const kept: unknown = JSON.parse(window.localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isSaved).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

function keep(views: readonly Saved[]): void {
  try {
    window.localStorage.setItem(KEY, JSON.stringify(views));
  } catch {
    say(t("fleet.viewsClosed"), "watch");
  }
}

/** The button and dialog of kept views; `search` is the view that is shown. */
export function Views({ search }: { search: string }): JSX.Element {
  const [open, setOpen] = useState(false);
  const [views, setViews] = useState(load);
  const [name, setName] = useState("");
  const change = (next: Saved[]): void => {
    keep(next);
    setViews(next);
  };
  const save = (event: FormEvent): void => {
    event.preventDefault();
    const named = name.trim();
    if (!named) return;
    change([...views.filter((view) => view.name !== named), { name: named, search }].slice(-MOST));
    setName("");
    say(t("fleet.viewSaved", { name: named }));
  };
  const share = `${window.location.href.split("#")[0]}#${paths.fleet}${search ? `?${search}` : ""}`;
  return (
    <>
      <Button icon="star" onClick={() => setOpen(true)}>{t("fleet.views")}</Button>
      <Dialog open={open} onClose={() => setOpen(false)} title={t("fleet.views")}>
        <div className="stack">
          {views.length === 0 && <p className="muted">{t("fleet.noViews")}</p>}
          <ul className="view-list">
            {views.map((view) => (
              <li key={view.name}>
                <Link href={view.search ? `${paths.fleet}?${view.search}` : paths.fleet} onClick={() => setOpen(false)}>{view.name}</Link>
                <Button kind="quiet" small icon="close" iconOnly onClick={() => change(views.filter((one) => one !== view))}>{t("fleet.forgetView", { name: view.name })}</Button>
              </li>
            ))}
          </ul>
          <form className="stack" onSubmit={save}>
            <Field label={t("fleet.viewName")} hint={t("fleet.viewHint")}>
              {(control) => <input {...control} value={name} maxLength={60} onChange={(event) => setName(event.target.value)} />}
            </Field>
            <div className="row"><Button kind="primary" type="submit" disabled={!name.trim()}>{t("fleet.saveView")}</Button></div>
          </form>
          <Field label={t("fleet.viewLink")}>
            {(control) => <input {...control} readOnly value={share} onFocus={(event) => event.target.select()} />}
          </Field>
        </div>
      </Dialog>
    </>
  );
}
