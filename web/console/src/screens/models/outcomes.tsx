import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { JSX, ReactNode } from "react";

import { getOutcomes } from "../../api/prognosis";
import type { Outcomes, OutcomeSeries, Predictor } from "../../api/prognosis";
import { Curve } from "../../charts/curve";
import { Fan } from "../../charts/fan";
import { Answered, Empty, Field, formatNumber, Panel, shortIri, Status } from "../../parts";
import type { Level } from "../../parts";
import { t, word } from "../../strings/en";
import { about, percent, unitWord } from "../prognosis/words";

/** How a model's forecasts compare with what became of the twins. */
export function OutcomesPanel({ predictor }: { predictor: Predictor }): JSX.Element {
  const { model } = predictor;
  const query = useQuery({ queryKey: ["outcomes", model], queryFn: ({ signal }) => getOutcomes(model, signal), staleTime: 60_000 });
  return (
    <Panel title={t("models.outcomes")} actions={<span className="muted mono small" title={model}>{t("models.chosen", { model: model.slice(0, 10) })}</span>}>
      <Answered query={query} lines={6}>{(found) => <Compared found={found} />}</Answered>
    </Panel>
  );
}

const DRIFT: Readonly<Record<string, Level>> = { none: "good", fleet: "act" };

function Compared({ found }: { found: Outcomes }): JSX.Element {
  const { score, unit, series, calibration, drift, left_out: leftOut } = found;
  const named = unitWord(unit);
  return (
    <div className="stack models-outcomes">
      {score === null ? <Empty small title={t("models.noOutcomes")}>{t("models.noOutcomesText")}</Empty> : (
        <dl className="models-numbers">
          <Number label={t("models.realised")} value={score.realised === null ? t("common.nothing") : percent(score.realised)} note={t("models.realisedText", { claimed: percent(score.coverage) })} />
          <Number label={t("models.bias")} value={`${score.bias > 0 ? "+" : ""}${about(score.bias)} ${named}`} note={t(score.bias > 0 ? "models.hopeful" : score.bias < 0 ? "models.gloomy" : "models.even")} />
          <Number label={t("models.rmse")} value={`${about(score.rmse)} ${named}`} />
          <Number label={t("models.width")} value={`${about(score.width)} ${named}`} />
          <Number label={t("models.twins")} value={formatNumber(score.twins)} note={t("models.predictions", { n: score.predictions })} />
        </dl>
      )}
      <div className="row"><strong>{t("models.drift")}</strong> <Status level={DRIFT[drift.word] ?? "unknown"} word={word("models", `drift-${drift.word}`) ?? drift.word} /> <span className="muted">{drift.why}</span></div>
      <dl className="facts">
        {drift.early !== null && <><dt>{t("models.early")}</dt><dd>{about(drift.early)} {named}</dd></>}
        {drift.late !== null && <><dt>{t("models.late")}</dt><dd>{about(drift.late)} {named}</dd></>}
        <dt>{t("models.running")}</dt><dd>{t("models.runningText", { n: drift.running, remarked: drift.remarked, widened: drift.widened })}</dd>
      </dl>
      <div className="models-charts">
        {series.length > 0 && <SeriesChart series={series} unit={named} />}
        {calibration.length > 1 && <Calibration points={calibration} />}
      </div>
      {leftOut > 0 && <p className="small muted">{t("models.leftOut", { n: leftOut })}</p>}
    </div>
  );
}

function Number({ label, value, note }: { label: string; value: ReactNode; note?: string }): JSX.Element {
  return <div><dt>{label}</dt><dd><strong>{value}</strong>{note && <span className="small muted">{note}</span>}</dd></div>;
}

function SeriesChart({ series, unit }: { series: readonly OutcomeSeries[]; unit: string }): JSX.Element {
  const [chosen, setChosen] = useState(series[0]?.sub ?? "");
  const shown = series.find(({ sub }) => sub === chosen) ?? series[0];
  const columns = useMemo(() => {
    const points = shown?.points ?? [];
    return {
      x: points.map(({ x }) => x), point: points.map(({ predicted }) => predicted), lower: points.map(({ lower }) => lower),
      upper: points.map(({ upper }) => upper), actual: points.map(({ actual }) => actual),
    };
  }, [shown]);
  return (
    <section className="stack" aria-label={t("models.series")}>
      <h3>{t("models.series")}</h3>
      <Field label={t("models.seriesOf")}>
        {(control) => <select {...control} value={chosen} onChange={(event) => setChosen(event.target.value)}>{series.map(({ sub }) => <option key={sub} value={sub}>{shortIri(sub)}</option>)}</select>}
      </Field>
      <Fan {...columns} unit={unit} label={t("models.seriesLabel")} xLabel={t("models.cycleAxis")} />
    </section>
  );
}

function Calibration({ points }: { points: readonly { level: number; realised: number }[] }): JSX.Element {
  const columns = useMemo(() => ({
    x: points.map(({ level }) => level), y: points.map(({ realised }) => realised), secondary: points.map(({ level }) => level),
  }), [points]);
  return (
    <section className="stack" aria-label={t("models.calibration")}>
      <h3>{t("models.calibration")}</h3>
      <p className="small muted">{t("models.calibrationText")}</p>
      <Curve {...columns} mark={null} labels={{ label: t("models.calibrationLabel"), x: t("models.level"), y: t("models.share"), secondary: t("models.ideal") }} />
    </section>
  );
}
