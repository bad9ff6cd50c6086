import { Component } from "react";
import type { JSX, ReactNode } from "react";

import { Button } from "../parts/button";
import { Failed } from "../parts/notice";
import { t } from "../strings/en";

/** What failed while being drawn is told in its place; the frame stays. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null };

  static getDerivedStateFromError(error: unknown): { error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error }: { error: Error | null } = this.state;
    return error ? <Broken error={error} retry={() => this.setState({ error: null })} /> : this.props.children;
  }
}

function Broken({ error, retry }: { error: Error; retry: () => void }): JSX.Element {
  // A chunk that is gone: the node serves a newer console.
  const gone = /dynamically imported module|module script|Unable to preload/i.test(error.message);
  return (
    <div className="screen">
      <Failed error={gone ? new Error(t("common.failedChunk")) : error} title={t("common.failedScreen")} retry={gone ? undefined : retry} />
      {gone && <Button onClick={() => window.location.reload()}>{t("common.reload")}</Button>}
    </div>
  );
}
