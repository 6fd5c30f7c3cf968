/** One frame from the server. `data` is decoded; text that is no JSON stays text. */
export interface Frame {
  event: string;
  channel?: string;
  data: unknown;
  userId?: string;
  serial?: string;
  /** What the server says about resuming, on `subscription_succeeded`. */
  tidewire?: { serial?: string; recovered?: boolean; reason?: string };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Reads a frame; undefined for anything that is none. */
export function parseFrame(raw: unknown): Frame | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(raw as string);
  } catch {
    return undefined;
  }
  if (!isObject(frame) || typeof frame.event !== "string") return undefined;
  const out: Frame = { event: frame.event, data: decode(frame.data) };
  const channel = text(frame.channel);
  const userId = text(frame.user_id);
  const serial = text(frame.serial);
  if (channel !== undefined) out.channel = channel;
  if (userId !== undefined) out.userId = userId;
  if (serial !== undefined) out.serial = serial;
  if (isObject(frame.tidewire)) out.tidewire = frame.tidewire;
  return out;
}

/** Event data travels as a string, mostly of JSON. */
export function decode(data: unknown): unknown {
  if (typeof data !== "string") return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** A property of something that may not be an object. */
export function field(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}

/**
 * Whether serial a is at or before b in the same epoch. Offsets are compared as
 * text, so that they may grow beyond what a number holds.
 */
export function reached(a: string, b: string | undefined): boolean {
  if (b === undefined) return false;
  const [epochA, offsetA] = split(a);
  const [epochB, offsetB] = split(b);
  return epochA === epochB && (offsetA.length === offsetB.length ? offsetA <= offsetB : offsetA.length < offsetB.length);
}

function split(serial: string): [string, string] {
  const colon = serial.lastIndexOf(":");
  return [serial.slice(0, colon), serial.slice(colon + 1)];
}
