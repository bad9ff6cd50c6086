export const plan = {
  title: "Planner",
} as const;
