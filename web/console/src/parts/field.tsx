import { useId } from "react";
import type { JSX, ReactNode } from "react";

export interface FieldControl {
  id: string;
  className: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null | undefined;
  /** Gets what the control must carry: `{(control) => <input {...control} />}`. */
  children: (control: FieldControl) => ReactNode;
}

/** A labelled control with a hint and an error. */
export function Field({ label, hint, error, children }: FieldProps): JSX.Element {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, className: "input", "aria-describedby": described || undefined, "aria-invalid": error ? true : undefined })}
      {hint && <div id={`${id}-hint`} className="small muted">{hint}</div>}
      {error && <div id={`${id}-error`} className="small field-error" role="alert">{error}</div>}
    </div>
  );
}
