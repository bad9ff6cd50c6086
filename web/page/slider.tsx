import { useId } from "react";
import type { JSX } from "react";

import { Button } from "../console/src/parts/button";
import { t } from "../console/src/strings/en";

interface SliderProps {
  /** Position, from 0. */
  at: number;
  count: number;
  /** The entry at that position. */
  entry: number;
  onMove: (at: number) => void;
}

/** Which statement: by dragging, by the arrow keys, or by buttons. */
export function Slider({ at, count, entry, onMove }: SliderProps): JSX.Element {
  const id = useId();
  const go = (to: number): void => onMove(Math.max(0, Math.min(count - 1, to)));
  const text = t("verify.sliderText", { at: at + 1, n: count, entry: String(entry) });
  return (
    <div className="verify-slider">
      <label htmlFor={id}>{t("verify.slider")}</label>
      <Button small disabled={at === 0} onClick={() => go(0)}>{t("verify.first")}</Button>
      <Button small disabled={at === 0} onClick={() => go(at - 1)}>{t("verify.previous")}</Button>
      <input id={id} type="range" min={0} max={Math.max(0, count - 1)} value={at} aria-valuetext={text} onChange={(event) => go(event.target.valueAsNumber)} />
      <Button small disabled={at >= count - 1} onClick={() => go(at + 1)}>{t("verify.next")}</Button>
      <Button small disabled={at >= count - 1} onClick={() => go(count - 1)}>{t("verify.last")}</Button>
      <output htmlFor={id} className="small muted">{text}</output>
    </div>
  );
}
