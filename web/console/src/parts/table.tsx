import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { JSX, KeyboardEvent, ReactNode } from "react";

import { t } from "../strings/en";
import { Icon } from "./icon";
import { arrange } from "./table-rows";
import type { Item } from "./table-rows";
import "./table.css";

export interface Column<T> {
  id: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** What to sort by; without it the column is not sortable. Rows of null come last, either way. */
  value?: (row: T) => string | number | null;
  number?: boolean;
  /** A CSS width: of fixed tables the column's share. */
  width?: string;
  /** Left out in narrow tables. */
  minor?: boolean;
}

export interface Sort {
  column: string;
  down: boolean;
}

export interface TableProps<T> {
  /** Names the table to screen readers. */
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** Without it the table sorts itself, as people press its heads. */
  sort?: Sort | null;
  onSort?: (sort: Sort) => void;
  /** A heading over rows of the same group; rows keep their order inside. */
  groupBy?: ((row: T) => string) | null;
  /** Draw only rows that are seen; of more than 100 rows by itself. */
  virtual?: boolean;
  /** Pixels of a row, as long as it has not been drawn. */
  rowHeight?: number;
  empty?: ReactNode;
}

const MANY = 100;

/**
 * A native table with sticky head. It scrolls with the screen. Arrow keys, Home and End go from row to row
 * once a link or button inside has the focus. On narrow screens each row is a card.
 */
export function Table<T>(props: TableProps<T>): JSX.Element {
  const { caption, columns, rows, rowKey, groupBy = null, empty } = props;
  const [own, setOwn] = useState<Sort | null>(null);
  const sort = props.sort === undefined ? own : props.sort;
  const pick = props.onSort ?? setOwn;
  const value = props.sort === undefined && sort ? columns.find(({ id }) => id === sort.column)?.value : undefined;
  const items = useMemo(() => arrange(rows, rowKey, value, sort?.down ?? false, groupBy), [rows, rowKey, value, sort, groupBy]);
  const body = { items, columns, rowHeight: props.rowHeight ?? 41 };
  return (
    <div className="table-wrap">
      <table className="table" role="table" aria-rowcount={items.length + 1}>
        <caption className="hidden">{caption}</caption>
        <colgroup>{columns.map(({ id, width, minor }) => <col key={id} width={width} className={minor ? "minor" : undefined} />)}</colgroup>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {columns.map((column) => <Head key={column.id} column={column} sort={sort} pick={pick} />)}
          </tr>
        </thead>
        {props.virtual || items.length > MANY ? <VirtualBody {...body} /> : <PlainBody {...body} />}
      </table>
      {items.length === 0 && empty}
    </div>
  );
}

function Head<T>({ column, sort, pick }: { column: Column<T>; sort: Sort | null; pick: (sort: Sort) => void }): JSX.Element {
  const { id, header, value, number, minor } = column;
  const sorted = sort?.column === id ? (sort.down ? "descending" : "ascending") : undefined;
  const classes = [number && "number", minor && "minor"].filter(Boolean).join(" ");
  return (
    <th role="columnheader" scope="col" className={classes || undefined} aria-sort={sorted}>
      {value ? (
        <button type="button" className="table-sort" onClick={() => pick({ column: id, down: sorted === "ascending" })} title={t("common.sortBy", { column: header })}>
          {header}
          <Icon name={sorted === "ascending" ? "up" : sorted === "descending" ? "down" : "sort"} size={12} />
        </button>
      ) : header}
    </th>
  );
}

interface BodyProps<T> {
  items: readonly Item<T>[];
  columns: readonly Column<T>[];
  rowHeight: number;
}

function PlainBody<T>({ items, columns }: BodyProps<T>): JSX.Element {
  const body = useRef<HTMLTableSectionElement>(null);
  const go = useCallback((index: number) => focusRow(body.current, index), []);
  return (
    <tbody ref={body} role="rowgroup" onKeyDown={(event) => steer(event, items.length, go)}>
      {items.map((item, index) => <Row key={item.key} item={item} columns={columns} index={index} />)}
    </tbody>
  );
}

/** The element that scrolls a table: the screen's. */
const scroller = (): HTMLElement | null => document.getElementById("main");

function VirtualBody<T>({ items, columns, rowHeight }: BodyProps<T>): JSX.Element {
  const body = useRef<HTMLTableSectionElement>(null);
  const [margin, setMargin] = useState(0);
  const wanted = useRef<number | null>(null);
  useLayoutEffect(() => {
    const main = scroller();
    if (!main || !body.current) return;
    const top = Math.round(body.current.getBoundingClientRect().top - main.getBoundingClientRect().top + main.scrollTop);
    if (top !== margin) setMargin(top);
  });
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: scroller,
    estimateSize: () => rowHeight,
    getItemKey: (index) => items[index]?.key ?? index,
    overscan: 8,
    scrollMargin: margin,
    scrollPaddingStart: 40,
    initialRect: { width: 1000, height: 800 },
  });
  const shown = rows.getVirtualItems();
  useLayoutEffect(() => {
    if (wanted.current !== null && focusRow(body.current, wanted.current)) wanted.current = null;
  });
  const go = (index: number): void => {
    rows.scrollToIndex(index);
    if (!focusRow(body.current, index)) wanted.current = index;
  };
  const before = (shown[0]?.start ?? margin) - margin;
  const after = rows.getTotalSize() - ((shown.at(-1)?.end ?? margin) - margin);
  return (
    <tbody ref={body} role="rowgroup" onKeyDown={(event) => steer(event, items.length, go)}>
      <Spacer height={before} columns={columns.length} />
      {shown.map(({ index }) => {
        const item = items[index];
        return item && <Row key={item.key} item={item} columns={columns} index={index} measure={rows.measureElement} />;
      })}
      <Spacer height={after} columns={columns.length} />
    </tbody>
  );
}

function Spacer({ height, columns }: { height: number; columns: number }): JSX.Element | null {
  if (height <= 0) return null;
  return <tr className="table-space" aria-hidden="true"><td colSpan={columns} style={{ height }} /></tr>;
}

interface RowProps<T> {
  item: Item<T>;
  columns: readonly Column<T>[];
  index: number;
  measure?: (row: HTMLElement | null) => void;
}

const Row = memo(function Row<T>({ item, columns, index, measure }: RowProps<T>): JSX.Element {
  if (item.row === undefined) {
    return (
      <tr role="row" ref={measure} data-index={index} aria-rowindex={index + 2} className="table-group">
        <th role="rowheader" scope="rowgroup" colSpan={columns.length}>{t("common.groupRows", { name: item.group, n: item.count })}</th>
      </tr>
    );
  }
  const { row } = item;
  return (
    <tr role="row" ref={measure} data-index={index} aria-rowindex={index + 2}>
      {columns.map(({ id, header, cell, number, minor }) => (
        <td key={id} role="cell" data-label={header} className={[number && "number", minor && "minor"].filter(Boolean).join(" ") || undefined}>{cell(row)}</td>
      ))}
    </tr>
  );
}, (one, other) => one.item.row === other.item.row && one.item.key === other.item.key && one.item.count === other.item.count
  && one.columns === other.columns && one.index === other.index && one.measure === other.measure) as <T>(props: RowProps<T>) => JSX.Element;

/** Focus a row's first link or button; whether it is drawn. */
function focusRow(body: HTMLElement | null, index: number): boolean {
  const row = body?.querySelector<HTMLElement>(`tr[data-index="${index}"]`);
  row?.querySelector<HTMLElement>("a, button")?.focus();
  return Boolean(row);
}

function steer(event: KeyboardEvent<HTMLElement>, count: number, go: (index: number) => void): void {
  if (!(event.target instanceof HTMLElement) || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
  const at = Number(event.target.closest<HTMLElement>("tr[data-index]")?.dataset["index"] ?? NaN);
  if (Number.isNaN(at)) return;
  const targets: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: count - 1 };
  const target = targets[event.key];
  if (target === undefined) return;
  event.preventDefault();
  go(Math.max(0, Math.min(count - 1, target)));
}
