// Commands as the model defines them: a form for the request, then the question whether it is meant, then the log.
import type { FormEvent, JSX } from "react";
import { useState } from "react";

import type { Json, Model, ModelCommand } from "../../api/twin";
import { sendCommand } from "../../api/twin";
import { Button, Dialog, Empty, Field, Panel } from "../../parts";
import { t } from "../../strings/en";
import { ReadsOnly, Refusal, useActing, useOperates, useSigner } from "./acting";
import { named } from "./layout";
import type { Draft } from "./schema";
import { parseDraft } from "./schema";
import { SchemaInput } from "./schema-input";
import { Value } from "./values";

export function CommandsPanel({ sub, model, named: hasModel }: { sub: string; model: Model | null; named: boolean }): JSX.Element {
  const operates = useOperates();
  const [open, setOpen] = useState<string | null>(null);
  const commands = Object.entries(model?.commands ?? {});
  const chosen = open === null ? undefined : model?.commands[open];
  return (
    <Panel title={t("twin.commands")}>
      {commands.length ? (
        <div className="stack">
          <ul className="twin-commands">
            {commands.map(([name, command]) => (
              <li key={name}>
                <div>
                  <strong>{named(command.display_name, name)}</strong>
                  {named(command.description, "") ? <p className="small muted">{named(command.description, "")}</p> : null}
                </div>
                {operates ? <Button small icon="play" onClick={() => setOpen(name)}>{t("twin.run")}<span className="hidden"> {named(command.display_name, name)}</span></Button> : null}
              </li>
            ))}
          </ul>
          {operates === false ? <ReadsOnly /> : null}
        </div>
      ) : <Empty small title={t(hasModel ? "twin.noCommands" : "twin.noCommandsModel")} />}
      {open !== null && chosen ? <CommandDialog key={open} sub={sub} name={open} command={chosen} onClose={() => setOpen(null)} /> : null}
    </Panel>
  );
}

const LIMITS = { "0": "twin.deadlineNone", "60": "twin.deadlineMinute", "600": "twin.deadlineTen", "3600": "twin.deadlineHour" } as const;

function CommandDialog({ sub, name, command, onClose }: { sub: string; name: string; command: ModelCommand; onClose: () => void }): JSX.Element {
  const [draft, setDraft] = useState<Draft>("");
  const [limit, setLimit] = useState("600");
  const [error, setError] = useState<string | null>(null);
  const [input, setInput] = useState<{ value: Json | undefined } | null>(null);
  const signer = useSigner();
  const { request } = command;
  const label = named(command.display_name, name);
  const send = (id: string): ReturnType<typeof sendCommand> => {
    const seconds = Number(limit);
    return sendCommand(id, sub, name, input?.value, seconds ? Math.floor(Date.now() / 1000) + seconds : undefined);
  };
  const acting = useActing(send, onClose);
  const check = (event: FormEvent): void => {
    event.preventDefault();
    if (!request) return setInput({ value: undefined });
    const parsed = parseDraft(request.schema, draft, true);
    if ("error" in parsed) return setError(parsed.error);
    setError(null);
    setInput(parsed);
  };
  if (input) {
    return (
      <Dialog
        open onClose={onClose} title={t("twin.confirmTitle", { name: label })}
        actions={<>
          <Button onClick={() => { acting.reset(); setInput(null); }}>{t("twin.back")}</Button>
          <Button kind="primary" icon="play" busy={acting.busy} onClick={acting.act}>{t("twin.confirm")}</Button>
        </>}
      >
        <div className="stack">
          <dl className="facts">
            <dt>{t("twin.request")}</dt><dd>{label}</dd>
            {request ? <><dt>{t("twin.input")}</dt><dd><Value value={input.value ?? null} unit={request.unit} /></dd></> : null}
            <dt>{t("twin.deadline")}</dt><dd>{t(LIMITS[limit as keyof typeof LIMITS])}</dd>
          </dl>
          <p>{t("twin.confirmText", { signer })}</p>
          <Refusal error={acting.error} />
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog open onClose={onClose} title={label}>
      <form className="stack" onSubmit={check} noValidate>
        {named(command.description, "") ? <p className="muted">{named(command.description, "")}</p> : null}
        {request ? (
          <SchemaInput
            label={named(request.display_name, request.name ?? t("twin.input"))} hint={request.unit ?? undefined} schema={request.schema}
            draft={draft} onDraft={setDraft} error={error} required
          />
        ) : null}
        <Field label={t("twin.deadline")} hint={t("twin.deadlineHint")}>
          {(control) => (
            <select {...control} value={limit} onChange={(event) => setLimit(event.target.value)}>
              {Object.entries(LIMITS).map(([seconds, key]) => <option key={seconds} value={seconds}>{t(key)}</option>)}
            </select>
          )}
        </Field>
        <div className="row twin-foot">
          <Button onClick={onClose}>{t("common.cancel")}</Button>
          <Button kind="primary" type="submit">{t("twin.next")}</Button>
        </div>
      </form>
    </Dialog>
  );
}
