import type { PartItem } from "../../api/parts";

/** The token that a pasted link or number names, as decimal digits or with 0x; null if it names none. */
export function tokenIn(text: string): string | null {
  const link = /#\/part\/((?:0x[0-9a-fA-F]{1,64}|[0-9]{1,78}))(?:[?#].*)?$/.exec(text.trim());
  if (link?.[1] !== undefined) return link[1];
  // A serial may be a number, too: a token has as many digits as a hash.
  return /^(0x[0-9a-fA-F]{64}|[0-9]{40,78})$/.test(text.trim()) ? text.trim() : null;
}

/** Parts whose serial, number or twin holds the text. */
export function matching(items: readonly PartItem[], text: string): PartItem[] {
  const wanted = text.trim().toLowerCase();
  return items.filter(({ serial, part_number: number, sub, token }) => [serial, number, `${number ?? ""} ${serial ?? ""}`, sub, token].some((one) => one?.toLowerCase().includes(wanted)));
}
