import type { JSX } from "react";

import type { PlannedTwin } from "../../api/prognosis";
import { Iri, shortIri } from "../../parts";
import { t } from "../../strings/en";
import { percent } from "../prognosis/words";

/** A plan as a table of twins and slots: a mark where a twin is maintained. What is drawn is a table to all readers. */
export function Gantt({ twins, slots }: { twins: readonly PlannedTwin[]; slots: number }): JSX.Element {
  const places = Array.from({ length: slots }, (_, slot) => slot);
  return (
    <div className="gantt-scroll" role="group" aria-label={t("plan.ganttLabel")} tabIndex={0}>
      <table className="gantt">
        <caption className="hidden">{t("plan.ganttLabel")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("plan.twin")}</th>
            {places.map((slot) => <th key={slot} scope="col"><span className="hidden">{t("plan.slotHead")} </span>{slot + 1}</th>)}
            <th scope="col">{t("plan.later")}</th>
          </tr>
        </thead>
        <tbody>
          {twins.map((twin) => (
            <tr key={twin.sub}>
              <th scope="row"><Iri iri={twin.sub} twin /></th>
              {[...places, null].map((slot) => (
                <td key={slot ?? "later"}>
                  {twin.slot === slot && (
                    <span className={slot === null ? "gantt-mark gantt-later" : "gantt-mark"} title={`${shortIri(twin.sub)}: ${t("plan.risky", { risk: percent(twin.risk, 2) })}`}>{percent(twin.risk, 2)}</span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
