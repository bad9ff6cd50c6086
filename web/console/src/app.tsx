import type { JSX } from "react";

export function App(): JSX.Element {
  return <h1>Twinproof</h1>;
}
