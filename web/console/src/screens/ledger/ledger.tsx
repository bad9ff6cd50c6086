import type { JSX } from "react";

import { useLiveQuery } from "../../api/live";
import { getAnchors, getGrowth, getHead, getWitnesses } from "../../api/log";
import type { Anchor, Head, Witness } from "../../api/log";
import { Answered, Empty, formatNumber, Hash, Panel, Screen, Status, Table, Time } from "../../parts";
import type { Column } from "../../parts";
import { t } from "../../strings/en";
import { CheckPanel } from "./check";
import { ConsistencyPanel } from "./consistency-panel";
import { Growth } from "./growth";
import "./ledger.css";

/** Milliseconds between two questions about what changes seldom. */
const SELDOM = 5000;

export default function LedgerScreen(): JSX.Element {
  const head = useLiveQuery(["log", "head"], getHead, { every: 2000 });
  const growth = useLiveQuery(["log", "growth"], getGrowth, { every: SELDOM });
  const anchors = useLiveQuery(["log", "anchors"], getAnchors, { every: SELDOM });
  const witnesses = useLiveQuery(["log", "witnesses"], getWitnesses, { every: SELDOM });
  return (
    <Screen title={t("ledger.title")}>
      <p className="muted ledger-intro">{t("ledger.intro")}</p>
      <div className="ledger-pair">
        <Panel title={t("ledger.head")}><Answered query={head}>{(data) => <HeadFacts head={data} />}</Answered></Panel>
        <Panel title={t("ledger.growth")}><Answered query={growth}>{({ points }) => <Growth points={points} head={head.data} />}</Answered></Panel>
      </div>
      <ConsistencyPanel head={head.data} anchors={anchors.data?.items ?? NONE} points={growth.data?.points ?? NO_POINTS} />
      <Panel title={t("ledger.anchors")} flush>
        <Answered query={anchors}>{({ items, chain_id: chain }) => <Anchors items={items} chain={chain} />}</Answered>
      </Panel>
      <div className="ledger-pair">
        <Panel title={t("ledger.witnesses")} flush><Answered query={witnesses}>{({ items }) => <Witnesses items={items} />}</Answered></Panel>
        <CheckPanel />
      </div>
    </Screen>
  );
}

const NONE: readonly Anchor[] = [];
const NO_POINTS: readonly { time: number; size: number }[] = [];

function HeadFacts({ head }: { head: Head }): JSX.Element {
  return (
    <div className="stack">
      <dl className="facts">
        <dt>{t("common.log")}</dt><dd>{head.origin}</dd>
        <dt>{t("ledger.size")}</dt><dd>{t("ledger.entries", { n: head.size })}</dd>
        <dt>{t("ledger.root")}</dt><dd><Hash hex={head.root} ends={10} copy /></dd>
        <dt>{t("ledger.signedAt")}</dt><dd>{head.time ? <Time at={head.time} /> : t("ledger.noTime")}</dd>
      </dl>
      <details>
        <summary>{t("ledger.checkpoint")}</summary>
        <pre className="note" tabIndex={0}>{head.checkpoint}</pre>
      </details>
    </div>
  );
}

/** An amount of wei in gwei, or in coins of 10^18 wei from a thousandth on. */
export function formatWei(wei: string): string {
  if (!/^[0-9]+$/.test(wei)) return wei;
  const amount = Number(wei);
  return amount < 1e15 ? t("ledger.gwei", { amount: formatNumber(amount / 1e9, 3) }) : t("ledger.coin", { amount: formatNumber(amount / 1e18, 4) });
}

const ANCHORS: readonly Column<Anchor>[] = [
  { id: "size", header: t("ledger.covers"), value: ({ size }) => size, cell: ({ size }) => t("ledger.entries", { n: size }) },
  { id: "time", header: t("ledger.blockTime"), value: ({ time }) => time, cell: ({ time }) => <Time at={time} /> },
  { id: "block", header: t("ledger.block"), number: true, width: "90px", cell: ({ block }) => String(block) },
  { id: "root", header: t("ledger.root"), minor: true, cell: ({ root }) => <Hash hex={root} /> },
  { id: "transaction", header: t("ledger.transaction"), minor: true, cell: ({ transaction }) => <Hash hex={transaction} /> },
  { id: "gas", header: t("ledger.gas"), number: true, width: "100px", cell: ({ gas }) => (gas === null ? t("common.nothing") : formatNumber(gas)) },
  { id: "fee", header: t("ledger.cost"), number: true, width: "130px", cell: ({ fee_wei: fee }) => (fee === null ? t("common.nothing") : formatWei(fee)) },
];

function Anchors({ items, chain }: { items: readonly Anchor[]; chain: number | null }): JSX.Element {
  if (chain === null) return <Empty title={t("ledger.noChain")} small>{t("ledger.noChainText")}</Empty>;
  if (items.length === 0) return <Empty title={t("ledger.noAnchor")} small>{t("ledger.noAnchorText")}</Empty>;
  let spent = 0n;
  for (const { fee_wei: fee } of items) if (fee !== null && /^[0-9]+$/.test(fee)) spent += BigInt(fee);
  return (
    <>
      <p className="ledger-sum muted">{t("ledger.anchorSum", { n: items.length, chain: String(chain), amount: formatWei(String(spent)) })}</p>
      <Table caption={t("ledger.anchors")} columns={ANCHORS} rows={items} rowKey={({ size }) => String(size)} />
    </>
  );
}

const WITNESSES: readonly Column<Witness>[] = [
  { id: "name", header: t("ledger.witness"), cell: ({ name, key_id: id }) => <span>{name} <span className="muted small mono">{id}</span></span> },
  { id: "size", header: t("ledger.cosigned"), value: ({ size }) => size, cell: ({ size }) => (size === null ? t("ledger.nothingYet") : t("ledger.entries", { n: size })) },
  { id: "time", header: t("ledger.when"), value: ({ time }) => time, cell: ({ time }) => <Time at={time} relative /> },
  { id: "state", header: t("ledger.state"), cell: (witness) => <WitnessState witness={witness} /> },
];

function WitnessState({ witness: { problem, key, size } }: { witness: Witness }): JSX.Element {
  if (problem !== null) return <Status level="act" word={t("ledger.badSignature")} title={problem} />;
  if (key === null) return <Status level="unknown" word={t("ledger.unnamed")} title={t("ledger.unnamedTitle")} />;
  return size === null ? <Status level="watch" word={t("ledger.silent")} /> : <Status level="info" word={t("ledger.named")} title={t("ledger.namedTitle")} />;
}

function Witnesses({ items }: { items: readonly Witness[] }): JSX.Element {
  if (items.length === 0) return <Empty title={t("ledger.noWitness")} small>{t("ledger.noWitnessText")}</Empty>;
  return <Table caption={t("ledger.witnesses")} columns={WITNESSES} rows={items} rowKey={({ name, key_id: id }) => `${name} ${id}`} />;
}
