// What was asked of the twin, and what it answered.
import type { JSX } from "react";

import type { Request, State } from "../../api/twin";
import { Empty, Entry, Panel, Status, Time } from "../../parts";
import type { IconName, Level } from "../../parts";
import { t, word } from "../../strings/en";

const LEVELS: Record<string, Level> = { done: "good", accepted: "info", rejected: "act", failed: "act" };
const ICONS: Record<string, IconName> = { done: "good", accepted: "info", rejected: "act", failed: "act" };

export function RequestsPanel({ state }: { state: State }): JSX.Element {
  const requests = [...state.requests].sort((one, other) => other.entry - one.entry);
  return (
    <Panel title={t("twin.requests")} flush>
      {requests.length ? (
        <div className="twin-scroll" role="group" aria-label={t("twin.requests")} tabIndex={0}>
          <table className="twin-table">
            <caption className="hidden">{t("twin.requests")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("twin.request")}</th><th scope="col">{t("twin.status")}</th>
                <th scope="col">{t("twin.asked")}</th><th scope="col">{t("twin.answer")}</th>
              </tr>
            </thead>
            <tbody>{requests.map((request) => <Row key={request.id} request={request} />)}</tbody>
          </table>
        </div>
      ) : <Empty small title={t("twin.noRequests")} />}
    </Panel>
  );
}

function Row({ request }: { request: Request }): JSX.Element {
  const { status } = request;
  const said = word("twin", `status${status.charAt(0).toUpperCase()}${status.slice(1)}`) ?? status;
  return (
    <tr>
      <th scope="row">{request.name ?? t("twin.desiredRequest")} <Entry index={request.entry} /></th>
      <td><Status level={LEVELS[status] ?? "unknown"} icon={ICONS[status] ?? "wait"} word={said} /></td>
      <td><Time at={request.time} relative /></td>
      <td>{request.answer === null ? <span className="muted">{t("twin.noAnswer")}</span> : <Entry index={request.answer} />}</td>
    </tr>
  );
}
