/** One page that checks evidence on its own: opened from a disk, it makes no request. */

import { StrictMode, useCallback, useMemo, useState } from "react";
import type { JSX } from "react";
import { createRoot } from "react-dom/client";

import "../console/src/theme.css";
import "../console/src/parts/base.css";
import "../console/src/parts/table.css";
import "./offline.css";
import { applyTheme } from "../console/src/frame/theme";
import { t } from "../console/src/strings/en";
import { Drop } from "../page/drop";
import type { Evidence } from "../page/protocol";
import { policyProblem, useTrust } from "../page/trust";
import type { Trusting } from "../page/trust";
import { Verification } from "../page/verification";

/** The worker's program, put in by the build. */
declare const WORKER_SOURCE: string;

let address: string | null = null;

function startWorker(): Worker {
  address ??= URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  return new Worker(address);
}

interface Carried {
  evidence: Evidence;
  policy: string | null;
}

const block = (id: string): HTMLElement | null => document.getElementById(id);

function decode(text: string): Uint8Array {
  const binary = atob(text.replace(/\s+/g, ""));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** What `twinproof prove --page` put into the page. */
function carried(): Carried | null {
  const data = block("evidence");
  if (!data?.textContent) return null;
  const policy = block("policy")?.textContent;
  const name = data.dataset["name"] ?? "evidence";
  return { evidence: { name, bytes: decode(data.textContent) }, policy: policy ? new TextDecoder().decode(decode(policy)) : null };
}

function Page({ given }: { given: Carried | null }): JSX.Element {
  const [evidence, setEvidence] = useState<Evidence | null>(given?.evidence ?? null);
  const policy = given?.policy ?? null;
  const trust = useMemo((): Trusting | null => (policy !== null && policyProblem(policy) === null ? { policy, operator: "", blocks: [], source: "page" } : null), [policy]);
  const handle = useTrust(trust);
  const take = useCallback((found: Evidence) => setEvidence(found), []);
  return (
    <main id="main" className="offline">
      <div className="screen">
        <div className="screen-head">
          <h1>{t("verify.offline")}</h1>
          {evidence && <Drop small onEvidence={take} />}
        </div>
        <p className="muted">{t("verify.offlineLead")}</p>
        {given && evidence === given.evidence && <p>{t("verify.embedded", { name: given.evidence.name })}</p>}
        {!evidence && <Drop onEvidence={take} />}
        <Verification evidence={evidence} handle={handle} nodePolicy={null} start={startWorker} />
      </div>
    </main>
  );
}

applyTheme();
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><Page given={carried()} /></StrictMode>);
