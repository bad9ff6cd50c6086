import type { JSX } from "react";

import type { Case } from "../../api/alarms";
import { formatNumber, Time } from "../../parts";
import { t } from "../../strings/en";

/** A detector's case: which signals strayed, how far, since when, and what that looks like. */
export function Evidence({ evidence }: { evidence: Case }): JSX.Element {
  const { detector, score, since, signals, hints, fleet } = evidence;
  const most = Math.max(...signals.map(({ part }) => Math.abs(part)), 1e-9);
  return (
    <section className="stack" aria-label={t("alarms.case")}>
      <h2>{t("alarms.case")}</h2>
      <p>
        {fleet ? t("alarms.caseFleet", { strayed: fleet.strayed, n: fleet.twins, detector }) : t("alarms.caseScore", { detector, score: formatNumber(score, 3) })}
        {" "}{t("alarms.since")} <Time at={since} />
      </p>
      <table className="stray">
        <caption className="small muted">{t("alarms.strays")}</caption>
        <tbody>
          {signals.map(({ name, part }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="number">{part > 0 ? "+" : ""}{formatNumber(part, 3)}</td>
              <td>{t(part < 0 ? "alarms.tooLow" : "alarms.tooHigh")}</td>
              <td className="stray-bar" aria-hidden="true"><span className={part < 0 ? "stray-low" : "stray-high"} style={{ width: `${(50 * Math.abs(part)) / most}%` }} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {hints.length > 0 && <div><h3>{t("alarms.hints")}</h3><ol className="hints">{hints.map((hint) => <li key={hint}>{hint}</li>)}</ol></div>}
    </section>
  );
}
