export const guide = {
  title: "Guide",
} as const;
