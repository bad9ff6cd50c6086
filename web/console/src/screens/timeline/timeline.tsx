import { useInfiniteQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { JSX } from "react";
import { useSearchParams } from "wouter";

import { useLive } from "../../api/live";
import { getTimeline } from "../../api/timeline";
import type { TimelineItem } from "../../api/timeline";
import { Button, Empty, Failed, Field, Loading, Panel, shortIri } from "../../parts";
import { navigate, paths } from "../../route";
import { t } from "../../strings/en";
import "../../../../page/page.css";
import { Item } from "./item";
import { kindWord, KINDS } from "./said";
import "./timeline.css";
import { Travel } from "./travel";

/** The entry of the address; null is now. */
function useAt(sub: string): [number | null, (entry: number | null) => void] {
  const [search] = useSearchParams();
  const text = search.get("at") ?? "";
  const at = /^(0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : null;
  const move = useCallback((entry: number | null): void => {
    navigate(entry === null ? paths.twin(sub, "timeline") : paths.moment(sub, entry), { replace: true });
  }, [sub]);
  return [at, move];
}

/** Pages of the history, the newest first; begins anew when the twin has a new entry. */
function useHistory(sub: string, kind: string) {
  const query = useInfiniteQuery({
    queryKey: ["timeline", sub, kind],
    queryFn: ({ pageParam, signal }) => getTimeline(sub, kind, pageParam, signal),
    initialPageParam: null as number | null,
    getNextPageParam: ({ next }) => next,
  });
  const { data, refetch } = query;
  const items = useMemo((): TimelineItem[] => {
    const seen = new Set<number>();
    const all = data?.pages.flatMap((page) => page.items) ?? [];
    // A page that was asked for again may overlap with the next one.
    return all.filter(({ entry }) => !seen.has(entry) && Boolean(seen.add(entry)));
  }, [data]);
  const reached = data?.pages[0]?.reached ?? null;
  useLive(sub, ({ rows }) => {
    const row = rows.find((one) => one.sub === sub);
    if (row && reached !== null && row.entry >= reached) void refetch({ cancelRefetch: false });
  });
  return { query, items };
}

/** A twin's whole life in order, and the twin as it was at any entry. */
export function Timeline({ sub }: { sub: string }): JSX.Element {
  const [at, move] = useAt(sub);
  const [kind, setKind] = useState("");
  const [signer, setSigner] = useState("");
  const { query, items } = useHistory(sub, kind);
  const signers = useMemo(() => [...new Set([...items.map(({ iss }) => iss), ...(signer ? [signer] : [])])].sort(), [items, signer]);
  const shown = useMemo(() => (signer ? items.filter(({ iss }) => iss === signer) : items), [items, signer]);
  const top = useRef<HTMLDivElement>(null);
  const travel = useCallback((entry: number): void => {
    move(entry);
    top.current?.scrollIntoView({ block: "start" });
  }, [move]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = query;
  const more = useCallback((): void => void fetchNextPage({ cancelRefetch: false }), [fetchNextPage]);
  return (
    <div className="timeline" ref={top}>
      <Travel sub={sub} at={at} onMove={move} />
      <Panel title={t("timeline.title")} flush actions={<span className="small muted">{t("timeline.shown", { shown: shown.length, n: items.length })}</span>}>
        <div className="verify-filters">
          <Field label={t("timeline.kind")}>
            {(control) => <select {...control} value={kind} onChange={(event) => setKind(event.target.value)}>
              <option value="">{t("timeline.allKinds")}</option>
              {KINDS.map((one) => <option key={one} value={one}>{kindWord(one)}</option>)}
            </select>}
          </Field>
          <Field label={t("timeline.signer")}>
            {(control) => <select {...control} value={signer} onChange={(event) => setSigner(event.target.value)}>
              <option value="">{t("timeline.allSigners")}</option>
              {signers.map((one) => <option key={one} value={one}>{shortIri(one)}</option>)}
            </select>}
          </Field>
        </div>
        {query.data === undefined
          ? query.error ? <Failed error={query.error} retry={() => void query.refetch()} /> : <Loading lines={8} />
          : <List items={shown} at={at} onTravel={travel} more={hasNextPage && !isFetchingNextPage ? more : null} busy={isFetchingNextPage} filtered={kind !== "" || signer !== ""} />}
      </Panel>
    </div>
  );
}

interface ListProps {
  items: readonly TimelineItem[];
  at: number | null;
  onTravel: (entry: number) => void;
  /** Null if there is nothing more, or it is on its way. */
  more: (() => void) | null;
  busy: boolean;
  filtered: boolean;
}

const scroller = (): HTMLElement | null => document.getElementById("main");

function List({ items, at, onTravel, more, busy, filtered }: ListProps): JSX.Element {
  const list = useRef<HTMLOListElement>(null);
  const [margin, setMargin] = useState(0);
  useLayoutEffect(() => {
    const main = scroller();
    if (!main || !list.current) return;
    const top = Math.round(list.current.getBoundingClientRect().top - main.getBoundingClientRect().top + main.scrollTop);
    if (top !== margin) setMargin(top);
  });
  const rows = useVirtualizer({
    count: items.length, getScrollElement: scroller, estimateSize: () => 96, getItemKey: (index) => items[index]?.entry ?? index,
    overscan: 6, scrollMargin: margin, initialRect: { width: 1000, height: 800 },
  });
  const shown = rows.getVirtualItems();
  const foot = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!more || !foot.current) return undefined;
    // Begun anew with each page, it tells at once whether the foot is still near.
    const watch = new IntersectionObserver(([seen]) => seen?.isIntersecting && more(), { root: scroller(), rootMargin: "600px" });
    watch.observe(foot.current);
    return () => watch.disconnect();
  }, [more, items.length, shown.length]);
  if (items.length === 0 && !more && !busy) return <Empty title={t(filtered ? "timeline.emptyFilter" : "timeline.empty")} small />;
  return (
    <>
      <ol ref={list} className="timeline-list" aria-label={t("timeline.list")} style={{ height: rows.getTotalSize() }}>
        {shown.map(({ index, start }) => {
          const item = items[index];
          return item && (
            <li key={item.entry} ref={rows.measureElement} data-index={index} aria-setsize={items.length} aria-posinset={index + 1} style={{ transform: `translateY(${start - margin}px)` }}>
              <Item item={item} current={item.entry === at} onTravel={onTravel} />
            </li>
          );
        })}
      </ol>
      <div ref={foot} className="timeline-foot">
        {busy ? <span className="muted" role="status">{t("timeline.loadingMore")}</span> : more ? <Button onClick={more}>{t("timeline.more")}</Button> : <span className="muted small">{t("timeline.beginning")}</span>}
      </div>
    </>
  );
}
