import type { JSX } from "react";

import { t } from "../strings/en";
import { Field } from "./field";

/** The number that a text writes in decimals, not negative; null if it is none. */
export function numberOf(text: string, whole = false): number | null {
  const form = whole ? /^\s*[0-9]{1,9}\s*$/ : /^\s*[0-9]{1,12}(\.[0-9]{1,9})?\s*$/;
  return form.test(text) ? Number(text) : null;
}

interface NumberFieldProps {
  label: string;
  hint?: string;
  value: string;
  onChange: (value: string) => void;
  whole?: boolean;
  /** May stay empty. */
  optional?: boolean;
  /** Another reason why it cannot be so. */
  error?: string | null;
}

/** A number as text, so that what is half typed stays as it is; it says itself what is no number. */
export function NumberField({ label, hint, value, onChange, whole = false, optional = false, error = null }: NumberFieldProps): JSX.Element {
  const empty = value.trim() === "";
  const wrong = empty ? !optional : numberOf(value, whole) === null;
  const said = wrong ? t(whole ? "prognosis.noWhole" : "prognosis.noNumber") : error;
  return (
    <Field label={label} hint={hint} error={said}>
      {(control) => (
        <input {...control} type="text" inputMode={whole ? "numeric" : "decimal"} autoComplete="off" value={value} onChange={(event) => onChange(event.target.value)} />
      )}
    </Field>
  );
}
