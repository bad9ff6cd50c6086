// A control for a value of a DTDL schema.
import type { JSX } from "react";

import type { Schema } from "../../api/twin";
import type { FieldControl } from "../../parts/field";
import { Field } from "../../parts";
import { t } from "../../strings/en";
import { named } from "./layout";
import type { Draft } from "./schema";
import { controlOf } from "./schema";

interface InputProps {
  label: string;
  hint?: string | undefined;
  schema: Schema | null;
  draft: Draft;
  onDraft: (draft: Draft) => void;
  error?: string | null | undefined;
  required?: boolean;
}

export function SchemaInput({ label, hint, schema, draft, onDraft, error, required = false }: InputProps): JSX.Element {
  const control = controlOf(schema);
  if (control === "object" && schema !== null && typeof schema !== "string") {
    const drafts = typeof draft === "string" ? {} : draft;
    return (
      <fieldset className="twin-fields">
        <legend>{label}</legend>
        {hint ? <p className="small muted">{hint}</p> : null}
        {(schema.fields ?? []).map((field) => (
          <SchemaInput
            key={field.name} label={named(field.display_name, field.name)} hint={named(field.description, "") || undefined}
            schema={field.schema} draft={drafts[field.name] ?? ""} onDraft={(next) => onDraft({ ...drafts, [field.name]: next })}
          />
        ))}
        {error ? <p className="small field-error" role="alert">{error}</p> : null}
      </fieldset>
    );
  }
  const text = typeof draft === "string" ? draft : "";
  const kinds = { json: t("twin.asJsonHint"), list: t("twin.listHint"), whole: t("twin.whole"), number: t("twin.number"), text: "", boolean: "", enum: "", object: "" };
  const about = [hint, kinds[control]].filter(Boolean).join(" · ");
  return (
    <Field label={label} hint={about || undefined} error={error}>
      {(given) => <One control={given} kind={control} schema={schema} text={text} onText={onDraft} required={required} />}
    </Field>
  );
}

const TYPES: Record<string, string> = { date: "date" };

interface OneProps {
  control: FieldControl;
  kind: ReturnType<typeof controlOf>;
  schema: Schema | null;
  text: string;
  onText: (text: string) => void;
  required: boolean;
}

function One({ control, kind, schema, text, onText, required }: OneProps): JSX.Element {
  if (kind === "json" || kind === "list") {
    return <textarea {...control} rows={4} value={text} required={required} onChange={(event) => onText(event.target.value)} />;
  }
  if (kind === "boolean" || kind === "enum") {
    const values = typeof schema === "object" && schema?.values
      ? schema.values.map((one) => ({ value: String(one.value), label: named(one.display_name, one.name) }))
      : [{ value: "true", label: t("twin.yes") }, { value: "false", label: t("twin.no") }];
    return (
      <select {...control} value={text} required={required} onChange={(event) => onText(event.target.value)}>
        <option value="">{t("twin.choose")}</option>
        {values.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
      </select>
    );
  }
  const numeric = kind === "whole" || kind === "number";
  return (
    <input
      {...control} type={(typeof schema === "string" && TYPES[schema]) || "text"} inputMode={numeric ? "decimal" : undefined}
      value={text} required={required} autoComplete="off" onChange={(event) => onText(event.target.value)}
    />
  );
}
