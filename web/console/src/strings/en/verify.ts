export const verify = {
  title: "Verify",
} as const;
