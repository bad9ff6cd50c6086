export const twin = {
  title: "Twin",
} as const;
