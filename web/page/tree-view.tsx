import type { JSX } from "react";

import { t } from "../console/src/strings/en";
import type { Tree } from "./protocol";

/** A value with what is inside, to be opened level by level. */
export function TreeView({ tree, open = 2 }: { tree: Tree; open?: number }): JSX.Element {
  return <ul className="verify-tree">{tree.inside.length || !tree.text ? <Members tree={tree} open={open} /> : <Node node={tree} open={open} />}</ul>;
}

function Members({ tree, open }: { tree: Tree; open: number }): JSX.Element {
  return (
    <>
      {tree.inside.map((node, at) => <Node key={at} node={node} open={open - 1} />)}
      {tree.more > 0 && <li className="muted">{t("verify.moreItems", { n: tree.more })}</li>}
    </>
  );
}

function Node({ node, open }: { node: Tree; open: number }): JSX.Element {
  if (node.inside.length === 0) return <li><span className="muted">{node.name}</span> <span className="mono">{node.text || t("common.nothing")}</span></li>;
  return (
    <li>
      <details open={open > 0}>
        <summary>{node.name} <span className="muted small">{t("verify.items", { n: node.inside.length + node.more })}</span></summary>
        <ul><Members tree={node} open={open} /></ul>
      </details>
    </li>
  );
}
