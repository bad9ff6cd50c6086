import type { JSX } from "react";

import { t } from "../strings/en";
import { Button } from "./button";
import { say } from "./toast";

/** A button that copies `text`; `what` names it to screen readers. */
export function Copy({ text, what }: { text: string; what?: string }): JSX.Element {
  const copy = (): void => {
    // Without a secure context (plain http to another machine) there is no clipboard.
    const done: Promise<void> | undefined = window.isSecureContext ? navigator.clipboard.writeText(text) : undefined;
    if (done === undefined) say(t("common.copyFailed"), "watch");
    else done.then(() => say(t("common.copied")), () => say(t("common.copyFailed"), "watch"));
  };
  return <Button kind="quiet" small icon="copy" iconOnly onClick={copy}>{`${t("common.copy")} ${what ?? text}`}</Button>;
}
