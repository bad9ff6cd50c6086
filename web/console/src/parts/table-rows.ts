/** The order of a table's rows: sorted, in groups. */

export interface Item<T> {
  key: string;
  /** Undefined: this is a group's heading. */
  row: T | undefined;
  group: string;
  /** Rows of the group. */
  count: number;
}

type Value = string | number | null;
const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

export function compare(one: Value, other: Value): number {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return words.compare(String(one), String(other));
}

/** Sorted by `value`; rows of null come last, either way. Stable. */
export function sorted<T>(rows: readonly T[], value: (row: T) => Value, down: boolean): T[] {
  const keyed = rows.map((row): [Value, T] => [value(row), row]);
  keyed.sort(([one], [other]) => {
    if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
    return down ? compare(other, one) : compare(one, other);
  });
  return keyed.map(([, row]) => row);
}

/** Items to draw; groups come in the order of their first rows. */
export function arrange<T>(
  rows: readonly T[],
  key: (row: T) => string,
  value: ((row: T) => Value) | undefined,
  down: boolean,
  groupBy: ((row: T) => string) | null,
): Item<T>[] {
  const ordered = value ? sorted(rows, value, down) : rows;
  if (!groupBy) return ordered.map((row) => ({ key: key(row), row, group: "", count: 0 }));
  const groups = new Map<string, T[]>();
  for (const row of ordered) {
    const name = groupBy(row);
    const members = groups.get(name);
    if (members) members.push(row);
    else groups.set(name, [row]);
  }
  return [...groups].flatMap(([group, members]) => [
    { key: `group:${group}`, row: undefined, group, count: members.length },
    ...members.map((row) => ({ key: key(row), row, group, count: 0 })),
  ]);
}
