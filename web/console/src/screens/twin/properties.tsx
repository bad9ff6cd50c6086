// Properties: what the twin reports, what was asked for.
import type { FormEvent, JSX } from "react";
import { useState } from "react";

import type { Json } from "../../api/twin";
import { sendDesired } from "../../api/twin";
import { Button, Dialog, Empty, Entry, Panel, Status } from "../../parts";
import { t } from "../../strings/en";
import { Refusal, useActing, useOperates, useSigner } from "./acting";
import type { Group, PropertyRow } from "./layout";
import type { Draft } from "./schema";
import { draftOf, parseDraft } from "./schema";
import { SchemaInput } from "./schema-input";
import { Value } from "./values";

export function PropertiesPanel({ sub, groups }: { sub: string; groups: readonly Group<PropertyRow>[] }): JSX.Element {
  const operates = useOperates();
  const [open, setOpen] = useState<PropertyRow | null>(null);
  return (
    <Panel title={t("twin.properties")} flush>
      {groups.length ? (
        <div className="twin-scroll" role="group" aria-label={t("twin.properties")} tabIndex={0}>
          <table className="twin-table">
            <caption className="hidden">{t("twin.properties")}</caption>
            <thead>
              <tr><th scope="col">{t("twin.property")}</th><th scope="col">{t("twin.reported")}</th><th scope="col">{t("twin.desired")}</th></tr>
            </thead>
            {groups.map((group) => (
              <tbody key={group.title ?? ""}>
                {group.title ? <tr className="twin-group"><th colSpan={3} scope="rowgroup">{group.title}</th></tr> : null}
                {group.rows.map((row) => <Row key={row.name} row={row} onChange={operates && row.field?.writable ? () => setOpen(row) : null} />)}
              </tbody>
            ))}
          </table>
        </div>
      ) : <Empty small title={t("twin.noProperties")} />}
      {open ? <DesiredDialog sub={sub} row={open} onClose={() => setOpen(null)} /> : null}
    </Panel>
  );
}

const same = (one: Json, other: Json): boolean => JSON.stringify(one) === JSON.stringify(other);

function Row({ row, onChange }: { row: PropertyRow; onChange: (() => void) | null }): JSX.Element {
  const { reported, desired, field } = row;
  return (
    <tr>
      <th scope="row"><span title={row.name}>{row.label}</span></th>
      <td>{reported ? <span className="row"><Value value={reported.value} unit={field?.unit ?? null} /> <Entry index={reported.entry} /></span> : <span className="muted">{t("common.nothing")}</span>}</td>
      <td>
        <span className="row">
          {desired ? <><Value value={desired.value} unit={field?.unit ?? null} /> <Entry index={desired.entry} /></> : <span className="muted">{t("common.nothing")}</span>}
          {desired && !(reported && same(reported.value, desired.value)) ? <Status level="watch" word={t("twin.differs")} /> : null}
          {onChange ? <Button small onClick={onChange} aria-label={t("twin.changeOf", { name: row.label })}>{t("twin.change")}</Button> : null}
        </span>
      </td>
    </tr>
  );
}

function DesiredDialog({ sub, row, onClose }: { sub: string; row: PropertyRow; onClose: () => void }): JSX.Element {
  const schema = row.field?.schema ?? null;
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, (row.desired ?? row.reported)?.value));
  const [error, setError] = useState<string | null>(null);
  const [value, setValue] = useState<Json | undefined>(undefined);
  const signer = useSigner();
  const acting = useActing((id) => sendDesired(id, sub, row.name, value ?? null), onClose);
  const check = (event: FormEvent): void => {
    event.preventDefault();
    const parsed = parseDraft(schema, draft, true);
    if ("error" in parsed) return setError(parsed.error);
    setError(null);
    setValue(parsed.value);
  };
  if (value !== undefined) {
    return (
      <Dialog
        open onClose={onClose} title={t("twin.confirmDesiredTitle", { name: row.label })}
        actions={<>
          <Button onClick={() => { acting.reset(); setValue(undefined); }}>{t("twin.back")}</Button>
          <Button kind="primary" busy={acting.busy} onClick={acting.act}>{t("twin.confirmDesired")}</Button>
        </>}
      >
        <div className="stack">
          <dl className="facts">
            <dt>{t("twin.reported")}</dt><dd><Value value={row.reported?.value ?? null} unit={row.field?.unit ?? null} /></dd>
            <dt>{t("twin.desired")}</dt><dd><Value value={value} unit={row.field?.unit ?? null} /></dd>
          </dl>
          <p>{t("twin.confirmText", { signer })}</p>
          <Refusal error={acting.error} />
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={t("twin.changeOf", { name: row.label })}>
      <form className="stack" onSubmit={check} noValidate>
        <SchemaInput label={row.label} hint={row.field?.unit ?? undefined} schema={schema} draft={draft} onDraft={setDraft} error={error} required />
        <div className="row twin-foot">
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" type="submit">{t("twin.next")}</Button>
        </div>
      </form>
    </Dialog>
  );
}
