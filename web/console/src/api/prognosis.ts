// Forecasts, the models they come from, and what would follow from them: docs/forecasts.md, docs/planning.md.
import { get, post } from "./client";

export interface Prediction {
  entry: number;
  time: number;
  iss: string;
  lower: number;
  point: number;
  upper: number;
  /** From 0 to 1; 0.001 where none is claimed. */
  coverage: number;
  unit: string;
  /** SHA-256 of the model, hex. */
  model: string;
  episode: string | null;
  drivers: Record<string, number>;
  remarks: string[];
  widened: number | null;
  until: number | null;
  /** The cycle of the newest row read. */
  x: number | null;
  /** What was left then. */
  happened: number | null;
}

export interface Predictions {
  items: Prediction[];
  /** Whether the twin is retired. */
  ended: boolean;
  reached: number;
}

interface PredictionPage extends Predictions {
  next: number | null;
}

const PAGE = 1000;
const PAGES = 5;

/** All predictions of a twin, or as many as a chart can show. */
export async function getPredictions(sub: string, signal?: AbortSignal): Promise<Predictions> {
  let page: PredictionPage = await get("predictions", { sub, limit: PAGE }, signal);
  const items = [...page.items];
  for (let count = 1; page.next !== null && count < PAGES; count++) {
    page = await get<PredictionPage>("predictions", { sub, limit: PAGE, after: page.next }, signal);
    items.push(...page.items);
  }
  return { items, ended: page.ended, reached: page.reached };
}

export interface Costs {
  planned: number;
  failure: number;
  lead: number;
  price?: number;
}

export interface WhatIf {
  entry: number;
  unit: string;
  point: number;
  lower: number;
  upper: number;
  coverage: number;
  model: string;
  age: number;
  best: { date: number; rate: number | null; risk: number; due: boolean; open: boolean };
  curve: { date: number; rate: number | null; risk: number }[];
  assumed: string[];
  reached: number;
}

export const askWhatIf = (sub: string, costs: Costs, signal?: AbortSignal): Promise<WhatIf> => post<WhatIf>("whatif", { sub, ...costs }, signal);

export interface SignedScore {
  entry: number;
  iss: string;
  time: number;
  coverage: number | null;
  twins: number | null;
  predictions: number | null;
  realised: number | null;
  bias: number | null;
  rmse: number | null;
}

export interface Card {
  fleet: string;
  unit: string;
  cap: number;
  units: number;
  failed: number;
  rows: number;
  shortest: number;
  longest: number;
  ranges: Record<string, number[]>;
  unused: string[];
  regimes: number;
  rmse: number;
  bias: number;
  coverage: number;
  width: number;
  limits: string[];
  software: Record<string, string>;
}

export interface Predictor {
  about: string;
  model: string;
  stage: string;
  unit: string;
  coverage: number;
  cycle: string | null;
  trained: { size: number; root: string; twins: number; failed: number; rows: number };
  text: string | null;
  entry: number;
  here: boolean;
  card: Card | null;
  score: SignedScore | null;
}

export interface Predictors {
  items: Predictor[];
  more: boolean;
  reached: number;
}

export const getPredictors = (signal?: AbortSignal): Promise<Predictors> => get<Predictors>("predictors", {}, signal);

export interface OutcomeSeries {
  sub: string;
  ended: number;
  points: { x: number; predicted: number; lower: number; upper: number; actual: number }[];
}

export interface Outcomes {
  model: string;
  about: string[];
  unit: string;
  score: {
    coverage: number; realised: number | null; bias: number; rmse: number; width: number;
    twins: number; predictions: number; widened: number; drift: number | null;
  } | null;
  calibration: { level: number; realised: number }[];
  drift: {
    word: string; why: string; early: number | null; late: number | null; error: number | null;
    running: number; remarked: number; widened: number;
  };
  series: OutcomeSeries[];
  left_out: number;
  reached: number;
}

export const getOutcomes = (model: string, signal?: AbortSignal): Promise<Outcomes> => get<Outcomes>("predictors/outcomes", { model }, signal);

export interface PlanQuestion {
  subs?: string[];
  prefix: string;
  slots: number;
  cycles_per_slot: number;
  planned: number;
  failure: number;
  lead: number;
  price: number;
  crew: number[];
  spares: number[];
}

export interface PlannedTwin {
  sub: string;
  entry: number;
  point: number;
  /** Null: after the plan. */
  slot: number | null;
  date: number;
  cost: number | null;
  best: number | null;
  risk: number;
}

export interface Plan {
  feasible: boolean;
  unit: string;
  twins: PlannedTwin[];
  cost: number | null;
  bound: number | null;
  certified: number | null;
  gap: number | null;
  status: string;
  shortages: { limit: string; excess: number[] }[];
  together: boolean;
  without_slot: string[];
  left_out: { sub: string; why: string }[];
  assumed: string[];
  reached: number;
}

export const askPlan = (question: PlanQuestion, signal?: AbortSignal): Promise<Plan> => post<Plan>("plan", question, signal);
