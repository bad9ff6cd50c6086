// Values out of what people type, by a DTDL schema. The node and the device check them again.
import type { Json, Schema } from "../../api/twin";
import { t } from "../../strings/en";

/** What was typed: a text, or the texts of an Object's fields. */
export type Draft = string | { [field: string]: Draft };

export type Parsed = { value: Json | undefined } | { error: string };

const WHOLE: Record<string, readonly [number, number]> = {
  byte: [-128, 127], short: [-32768, 32767], integer: [-2147483648, 2147483647], long: [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  unsignedByte: [0, 255], unsignedShort: [0, 65535], unsignedInteger: [0, 4294967295], unsignedLong: [0, Number.MAX_SAFE_INTEGER],
};
const NUMBERS = new Set(["double", "float", "decimal"]);

export type Control = "text" | "number" | "whole" | "boolean" | "enum" | "object" | "list" | "json";

export function controlOf(schema: Schema | null): Control {
  if (schema === null) return "json";
  if (typeof schema === "string") {
    if (schema in WHOLE) return "whole";
    if (NUMBERS.has(schema)) return "number";
    // Geospatial schemas are objects of GeoJSON.
    if (/^(multi)?(point|line|polygon)/i.test(schema)) return "json";
    return schema === "boolean" ? "boolean" : "text";
  }
  if (schema.kind === "Enum" && schema.values) return "enum";
  if (schema.kind === "Object" && schema.fields) return "object";
  return schema.kind === "Array" && schema.of && ["text", "number", "whole"].includes(controlOf(schema.of)) ? "list" : "json";
}

/** `value` is undefined for nothing typed, where that is allowed. */
export function parseDraft(schema: Schema | null, draft: Draft, required: boolean): Parsed {
  const control = controlOf(schema);
  if (control === "object" && schema !== null && typeof schema !== "string") return parseFields(schema.fields ?? [], draft, required);
  const text = typeof draft === "string" ? draft.trim() : "";
  if (text === "") return required ? { error: t("twin.badMissing") } : { value: undefined };
  switch (control) {
    case "boolean": return { value: text === "true" };
    case "enum": return enumValue(schema, text);
    case "json": return json(text);
    case "list": return list(schema, text);
    case "number": case "whole": return numeric(schema, text);
    default: return { value: text };
  }
}

function numeric(schema: Schema | null, text: string): Parsed {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) return { error: t("twin.badNumber") };
  const limits = typeof schema === "string" ? WHOLE[schema] : undefined;
  if (!limits) return { value };
  if (!Number.isInteger(value)) return { error: t("twin.badWhole") };
  const [low, high] = limits;
  return value >= low && value <= high ? { value } : { error: t("twin.badRange", { low, high }) };
}

function enumValue(schema: Schema | null, text: string): Parsed {
  const found = typeof schema === "object" && schema?.values?.find((one) => String(one.value) === text);
  return found ? { value: found.value } : { error: t("twin.badMissing") };
}

function json(text: string): Parsed {
  try {
    const value: Json = JSON.parse(text);
    return { value };
  } catch {
    return { error: t("twin.badJson") };
  }
}

function list(schema: Schema | null, text: string): Parsed {
  const of = typeof schema === "object" && schema?.of ? schema.of : null;
  const values: Json[] = [];
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const parsed = parseDraft(of, line, true);
    if ("error" in parsed) return parsed;
    values.push(parsed.value ?? null);
  }
  return { value: values };
}

function parseFields(fields: readonly { name: string; schema: Schema | null }[], draft: Draft, required: boolean): Parsed {
  const value: { [name: string]: Json } = {};
  const drafts = typeof draft === "string" ? {} : draft;
  for (const field of fields) {
    const parsed = parseDraft(field.schema, drafts[field.name] ?? "", false);
    if ("error" in parsed) return { error: `${field.name}: ${parsed.error}` };
    if (parsed.value !== undefined) value[field.name] = parsed.value;
  }
  return required || Object.keys(value).length ? { value } : { value: undefined };
}

/** What stands in the form for a value that is there already. */
export function draftOf(schema: Schema | null, value: Json | undefined): Draft {
  if (value === undefined || value === null) return "";
  const control = controlOf(schema);
  if (control === "json") return JSON.stringify(value);
  if (control === "list" && Array.isArray(value)) return value.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join("\n");
  if (control === "object" && typeof value === "object" && !Array.isArray(value) && typeof schema === "object") {
    return Object.fromEntries((schema?.fields ?? []).map((field) => [field.name, draftOf(field.schema, value[field.name])]));
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}
