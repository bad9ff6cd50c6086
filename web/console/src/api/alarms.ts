import { get } from "./client";

/** Why a detector raised an alarm. */
export interface Case {
  detector: string;
  /** In parts of the limit; of a case of many twins, the share that strayed. */
  score: number;
  /** POSIX seconds. */
  since: number;
  /** Most first; negative where the signal was too low. */
  signals: { name: string; part: number }[];
  hints: string[];
  fleet: { strayed: number; twins: number } | null;
}

export interface Alarm {
  sub: string;
  rule: string;
  /** As ISA-18.2 calls it. */
  state: string;
  severity: string | null;
  entry: number;
  time: number;
  case: Case | null;
  /** The model of which a case says that many twins stray alike. */
  part_of: string | null;
}

export interface Alarms {
  items: Alarm[];
  reached: number;
}

export const getAlarms = (signal?: AbortSignal): Promise<Alarms> => get<Alarms>("alarms", { limit: 1000 }, signal);
