import type { JSX } from "react";

import type { Predictor } from "../../api/prognosis";
import { Entry, formatNumber, Hash, Panel } from "../../parts";
import { t } from "../../strings/en";
import { about, percent, unitWord } from "../prognosis/words";

/** What the model was made from, how well it did there, and what it is not for. */
export function CardPanel({ predictor }: { predictor: Predictor }): JSX.Element {
  const { card, model, entry, text, unit } = predictor;
  const named = unitWord(unit);
  return (
    <Panel title={t("models.card")}>
      <div className="stack">
        {text !== null && <p>{text}</p>}
        {card === null && <p className="muted">{t("models.noCard")}</p>}
        <dl className="facts">
          <dt>{t("models.digest")}</dt><dd className="row"><Hash hex={model} ends={10} copy /> <Entry index={entry} /></dd>
          {card && (
            <>
              <dt>{t("models.fleet")}</dt><dd>{card.fleet}</dd>
              <dt>{t("models.trained")}</dt><dd>{t("models.trainedOn", { n: card.units, failed: card.failed, rows: card.rows })}</dd>
              <dt>{t("models.lives")}</dt><dd>{t("models.livesText", { shortest: formatNumber(card.shortest), longest: formatNumber(card.longest) })} {named}</dd>
              <dt>{t("models.cap")}</dt><dd>{formatNumber(card.cap)} {named}</dd>
              <dt>{t("models.error")}</dt><dd>{t("models.errorText", { rmse: about(card.rmse), bias: about(card.bias), coverage: percent(card.coverage) })}</dd>
              <dt>{t("models.regimes")}</dt><dd>{card.regimes}</dd>
              {card.unused.length > 0 && <><dt>{t("models.unused")}</dt><dd>{card.unused.join(", ")}</dd></>}
              <dt>{t("models.software")}</dt><dd>{Object.entries(card.software).map(([name, version]) => `${name} ${version}`).join(", ")}</dd>
            </>
          )}
        </dl>
        {card && card.limits.length > 0 && <div><h3>{t("models.limits")}</h3><ul className="models-limits">{card.limits.map((limit) => <li key={limit}>{limit}</li>)}</ul></div>}
      </div>
    </Panel>
  );
}
