// The neighbourhood as a drawing. It is a picture for readers of the screen; the list is their way through it.
import cytoscape from "cytoscape";
import type { JSX } from "react";
import { useEffect, useRef } from "react";

import { readPalette, useScheme } from "../../charts/palette";
import type { Palette } from "../../charts/palette";
import { shortIri } from "../../parts";
import { navigate, paths } from "../../route";
import type { Neighbourhood } from "./relations-data";

const LARGEST = 1.25;
/** Cytoscape would add a style element, which this page's policy refuses, unless one of this id is there. */
const STYLE_ID = "__________cytoscape_stylesheet";

function styles(palette: Palette): cytoscape.StylesheetJson {
  return [
    {
      selector: "node",
      style: {
        label: "data(label)", color: palette.text, "font-size": 11, "font-family": "system-ui, sans-serif", "text-valign": "bottom",
        "text-margin-y": 4, "text-wrap": "ellipsis", "text-max-width": "120px", "background-color": palette.series[0] ?? palette.text,
        width: 18, height: 18, "text-background-color": palette.surface, "text-background-opacity": 0.8,
      },
    },
    { selector: "node[?self]", style: { width: 28, height: 28, "border-width": 3, "border-color": palette.text, "font-weight": "bold" } },
    { selector: "node[?alarmed]", style: { shape: "diamond", "background-color": palette.act } },
    { selector: "node[?silent]", style: { "background-opacity": 0, "border-width": 1, "border-style": "dashed", "border-color": palette.muted } },
    {
      selector: "edge",
      style: {
        label: "data(label)", color: palette.muted, "font-size": 9, "curve-style": "bezier", width: 1.2, "line-color": palette.muted,
        "target-arrow-color": palette.muted, "target-arrow-shape": "triangle", "arrow-scale": 0.8, "text-rotation": "autorotate",
        "text-background-color": palette.surface, "text-background-opacity": 0.9,
      },
    },
  ];
}

function elements(sub: string, found: Neighbourhood): cytoscape.ElementDefinition[] {
  const nodes = [...found.nodes.values()].map(({ iri, alarms }) => ({
    data: { id: iri, label: shortIri(iri), self: iri === sub, alarmed: (alarms ?? 0) > 0, silent: alarms === null },
  }));
  const edges = found.edges.map(({ from, to, name }, at) => ({ data: { id: `edge ${String(at)}`, source: from, target: to, label: name } }));
  return [...nodes, ...edges];
}

export function GraphCanvas({ sub, found, label }: { sub: string; found: Neighbourhood; label: string }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const scheme = useScheme();
  useEffect(() => {
    const element = host.current;
    if (!element) return undefined;
    const graph = cytoscape({
      container: element,
      elements: elements(sub, found),
      style: styles(readPalette(element)),
      layout: { name: "concentric", concentric: (node) => (node.data("self") === true ? 10 : node.degree()), levelWidth: () => 2, minNodeSpacing: 70, nodeDimensionsIncludeLabels: true, animate: false, padding: 24 },
      minZoom: 0.3, maxZoom: 3, userZoomingEnabled: false, boxSelectionEnabled: false, autounselectify: true,
    });
    graph.on("tap", "node", (event) => {
      const node: cytoscape.NodeSingular = event.target;
      if (node.id() !== sub) navigate(paths.twin(node.id()));
    });
    const fit = (): void => {
      graph.fit(undefined, 24);
      // Two twins need not fill the panel.
      if (graph.zoom() > LARGEST) graph.zoom(LARGEST).center();
    };
    fit();
    const observer = new ResizeObserver(() => {
      graph.resize();
      fit();
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      graph.destroy();
    };
  }, [sub, found, scheme]);
  return (
    <>
      <span id={STYLE_ID} hidden />
      <div ref={host} className="twin-graph" role="img" aria-label={label} />
    </>
  );
}
