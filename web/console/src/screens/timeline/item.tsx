import { memo } from "react";
import type { JSX, ReactNode } from "react";
import { Link } from "wouter";

import type { TimelineItem } from "../../api/timeline";
import { Button, Entry, Icon, shortIri, Time } from "../../parts";
import { paths } from "../../route";
import { t } from "../../strings/en";
import { VerifyEntry } from "../verify/verify-entry";
import { kindIcon, kindWord, saidText } from "./said";

interface ItemProps {
  item: TimelineItem;
  /** The entry that the twin is shown at. */
  current: boolean;
  onTravel: (entry: number) => void;
}

/** One entry: what it says, who signed under which grant, and its three times apart. */
export const Item = memo(function Item({ item, current, onTravel }: ItemProps): JSX.Element {
  const { kind, entry, iss, gateway, grant } = item;
  return (
    <article className={current ? "timeline-item timeline-current" : "timeline-item"} aria-current={current ? "true" : undefined}>
      <span className="timeline-icon"><Icon name={kindIcon(kind)} /></span>
      <div className="timeline-body">
        <div className="row timeline-head">
          <h3>{kindWord(kind)}</h3>
          <Entry index={entry} />
        </div>
        <p className="timeline-said">{saidText(item)}</p>
        <p className="small muted timeline-signer">
          <Icon name={gateway ? "gateway" : "user"} size={14} /> <span title={iss}>{shortIri(iss)}</span>{gateway && `, ${t("timeline.gateway")}`} ·{" "}
          {grant
            ? <Link href={paths.entry(grant.entry)} title={t("timeline.grantTitle", { entry: String(grant.entry), can: grant.can.join(", ") })}>{t("timeline.under", { entry: t("common.entry", { entry: String(grant.entry) }) })}</Link>
            : t("timeline.noGrant")}
        </p>
      </div>
      <Times item={item} />
      <div className="timeline-actions">
        <Button small icon="wait" iconOnly onClick={() => onTravel(entry)} title={t("timeline.travelTo")}>{`${t("timeline.travelTo")} ${entry}`}</Button>
        <VerifyEntry index={entry} />
      </div>
    </article>
  );
});

function Times({ item: { time, integrated, anchored } }: { item: TimelineItem }): JSX.Element {
  const none = <span className="muted">{t("timeline.notYet")}</span>;
  return (
    <dl className="timeline-times small">
      <When icon="user" name={t("timeline.claimed")} title={t("timeline.claimedTitle")}><Time at={time} /></When>
      <When icon="ledger" name={t("timeline.integrated")} title={integrated ? t("timeline.integratedTitle", { n: integrated.size }) : ""}>
        {integrated ? <Time at={integrated.time} /> : none}
      </When>
      <When icon="anchor" name={t("timeline.anchored")} title={anchored ? t("timeline.anchoredTitle", { block: anchored.block, n: anchored.size }) : ""}>
        {anchored ? <Time at={anchored.time} /> : none}
      </When>
    </dl>
  );
}

function When({ icon, name, title, children }: { icon: "user" | "ledger" | "anchor"; name: string; title: string; children: ReactNode }): JSX.Element {
  return <div title={title}><dt><Icon name={icon} size={12} /> {name}</dt><dd>{children}</dd></div>;
}
