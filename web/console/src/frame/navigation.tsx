import { useState } from "react";
import type { JSX } from "react";
import { Link, useLocation } from "wouter";

import { Button, Dialog, Icon } from "../parts";
import type { IconName } from "../parts";
import { paths } from "../route";
import { t } from "../strings/en";
import type { Key } from "../strings/en";

interface Place {
  href: string;
  icon: IconName;
  words: Key;
  /** Other paths that belong to it. */
  holds?: string;
}

const PLACES: readonly Place[] = [
  { href: paths.fleet, icon: "fleet", words: "fleet.title", holds: "/twin/" },
  { href: paths.alarms, icon: "alarm", words: "alarms.title" },
  { href: paths.models, icon: "model", words: "models.title" },
  { href: paths.plan, icon: "plan", words: "plan.title" },
  { href: paths.orders, icon: "order", words: "orders.title", holds: "/order/" },
  { href: paths.parts, icon: "part", words: "parts.title", holds: "/part/" },
  { href: paths.ledger, icon: "ledger", words: "ledger.title" },
  { href: paths.verify, icon: "verify", words: "verify.title" },
  { href: paths.guide, icon: "guide", words: "guide.title" },
];
/** Places in the bar of a phone; the rest is behind "More". */
const FIRST = [paths.fleet, paths.alarms, paths.orders, paths.ledger] as readonly string[];

function Item({ place, onClick }: { place: Place; onClick?: () => void }): JSX.Element {
  const [path] = useLocation();
  const here = path === place.href || (place.holds !== undefined && path.startsWith(place.holds));
  return (
    <li className={FIRST.includes(place.href) ? "first" : undefined}>
      <Link href={place.href} aria-current={here ? "page" : undefined} onClick={onClick}>
        <Icon name={place.icon} size={18} />
        <span>{t(place.words)}</span>
      </Link>
    </li>
  );
}

export function Navigation(): JSX.Element {
  const [open, setOpen] = useState(false);
  const close = (): void => setOpen(false);
  return (
    <nav className="navigation" aria-label={t("common.navigation")}>
      <ul className="places">
        {PLACES.map((place) => <Item key={place.href} place={place} />)}
        <li className="first only-phone">
          <Button kind="quiet" onClick={() => setOpen(true)} aria-haspopup="dialog"><Icon name="more" size={18} /><span>{t("common.more")}</span></Button>
        </li>
      </ul>
      <Dialog open={open} onClose={close} title={t("common.allScreens")}>
        <ul className="all-places">{PLACES.map((place) => <Item key={place.href} place={place} onClick={close} />)}</ul>
      </Dialog>
    </nav>
  );
}
