export const prognosis = {
  title: "Prognosis",
} as const;
