export const parts = {
  title: "Parts",
} as const;
