export const alarms = {
  title: "Alarms",
  "severity-low": "low",
  "severity-medium": "medium",
  "severity-high": "high",
  "severity-critical": "critical",
} as const;
