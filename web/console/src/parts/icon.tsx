/** Small line drawings, 16 by 16. They stand beside words, never instead of them, and are hidden from screen readers. */

import type { JSX } from "react";

const PATHS = {
  fleet: "M2 4h12M2 8h12M2 12h8",
  alarm: "M8 2a4 4 0 0 0-4 4v3l-1.5 3h11L12 9V6a4 4 0 0 0-4-4ZM6.5 14h3",
  model: "M2 13l4-5 3 2 5-7M2 2v12h12",
  plan: "M2 3h12v11H2zM2 6.5h12M5.5 1.5v3M10.5 1.5v3M5 10h4",
  order: "M3 2h7l3 3v9H3zM6 7h4M6 10h4",
  part: "M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.800zM2.700 5L8 8l5.300-3M8 8v6",
  ledger: "M3 2.500h10v11H3zM6 2.500v11M8.500 6h2.500M8.500 9h2.500",
  verify: "M8 1.500l5.500 2v4c0 3.500-2.500 6-5.500 7-3-1-5.500-3.500-5.500-7v-4zM5.500 8l2 2 3.500-4",
  guide: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.300 6.200a1.800 1.800 0 1 1 2.500 1.700c-.5.2-.8.5-.8 1.100M8 11.200v.1",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  good: "M3.500 8.500l3 3 6-7",
  watch: "M8 2.500L14.500 13.500h-13zM8 6.500v3.200M8 11.600v.1",
  act: "M5.300 1.800h5.400l3.500 3.500v5.400l-3.500 3.500H5.300l-3.500-3.500V5.300zM8 5v3.500M8 10.800v.1",
  unknown: "M5.500 5.800a2.500 2.500 0 1 1 3.600 2.300c-.8.4-1.100.8-1.100 1.600M8 12.400v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.200v4M8 4.800v.1",
  entry: "M6 2L4.500 14M11.500 2L10 14M2.500 5.500h12M1.500 10.500h12",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  close: "M4 4l8 8M12 4l-8 8",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  sort: "M5 6l3-3 3 3M5 10l3 3 3-3",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13.500 9.500A6 6 0 0 1 6.500 2.500a6 6 0 1 0 7 7Z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.500 14c.5-3 2.700-4.500 5.500-4.500s5 1.500 5.500 4.500",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.800 10.800L14 14",
  star: "M8 2l1.800 3.900 4.200.5-3.100 2.900.8 4.200L8 11.400l-3.700 2.100.8-4.200L2 6.400l4.200-.5z",
  lock: "M3.500 7h9v7h-9zM5.500 7V4.500a2.500 2.500 0 0 1 5 0V7",
  anchor: "M8 5.500a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600ZM8 5.500V14M2.500 9.500c.5 3 2.500 4.500 5.500 4.500s5-1.500 5.500-4.500M5.500 8h5",
  device: "M4.500 4.500h7v7h-7zM6.500 1.500v3M9.500 1.500v3M6.500 11.500v3M9.500 11.500v3M1.500 6.500h3M1.500 9.500h3M11.500 6.500h3M11.500 9.500h3",
  gateway: "M2 9h12v4.500H2zM4.500 11.200v.1M8 9V5.500M5 4.500a4 4 0 0 1 6 0M3.200 2.500a7 7 0 0 1 9.600 0",
  gap: "M1.500 8h4M10.500 8h4M6.500 5l-1 6M10.500 5l-1 6",
  play: "M5 3l8 5-8 5z",
  wait: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.500V8l2.500 1.500",
  download: "M8 2v8M4.500 7L8 10.500 11.500 7M2.500 13.500h11",
  link: "M6.500 9.500l3-3M7 4.500l1-1a3 3 0 0 1 4.500 4.500l-1 1M9 11.500l-1 1A3 3 0 0 1 3.500 8l1-1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg
      className="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5"
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
