import { compact, number, utc } from "./parts";

export type Point = { at: string; value: number };

/** A bar for each step, a line for a limit, a table for who cannot see either. */
export function Chart(props: { label: string; points: Point[]; limit?: number; daily: boolean }) {
  const { points, limit = 0 } = props;
  const most = nice(Math.max(1, ...points.map((p) => p.value)));
  // A limit far above what is used would press all bars flat.
  const showLimit = limit > 0 && limit <= most * 4;
  const top = showLimit ? nice(Math.max(most, limit)) : most;
  const width = 100 / Math.max(1, points.length);
  const y = (v: number) => 100 - (v / top) * 100;
  return (
    <figure>
      <div className="chart-box">
        <span className="chart-axis" style={{ top: 8 }}>{compact(top)}</span>
        <span className="chart-axis" style={{ top: "50%" }}>{compact(top / 2)}</span>
        <span className="chart-axis" style={{ top: "calc(100% - 6px)" }}>0</span>
        <svg className="chart" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label={props.label}>
          {[0, 50, 100].map((at) => <line key={at} className="grid-line" x1="0" x2="100" y1={at} y2={at} />)}
          {points.map((p, i) => (
            <rect key={p.at} className="bar" x={i * width + width * 0.12} width={width * 0.76} y={y(p.value)} height={100 - y(p.value)}>
              <title>{`${stamp(p.at, props.daily)} (${utc(p.at)}): ${number(p.value)}`}</title>
            </rect>
          ))}
          {showLimit && <line className="limit" x1="0" x2="100" y1={y(limit)} y2={y(limit)}><title>{`limit: ${number(limit)}`}</title></line>}
        </svg>
      </div>
      <div className="chart-times" aria-hidden>
        {ends(points).map((p) => <span key={p.at}>{stamp(p.at, props.daily)}</span>)}
      </div>
      <div className="visually-hidden">
        <table>
          <caption>{props.label}</caption>
          <tbody>
            {points.map((p) => <tr key={p.at}><th scope="row">{stamp(p.at, props.daily)}</th><td>{number(p.value)}</td></tr>)}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

function ends(points: Point[]): Point[] {
  const first = points[0];
  const middle = points[Math.floor(points.length / 2)];
  const last = points[points.length - 1];
  return first && middle && last ? [...new Set([first, middle, last])] : [];
}

function stamp(at: string, daily: boolean) {
  const options: Intl.DateTimeFormatOptions = daily ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return new Date(at).toLocaleString(undefined, options);
}

/** The next of 1, 2, 5, 10, 20, … that is no smaller. */
export function nice(n: number): number {
  const power = 10 ** Math.floor(Math.log10(n));
  return ([1, 2, 5, 10].find((m) => m * power >= n) ?? 10) * power;
}

/** Puts a zero where nothing was counted, so that quiet hours are seen. */
export function steps<T extends { start: string }>(usage: { from: string; to: string; span: string; steps: T[] }, value: (step: T) => number): Point[] {
  const size = usage.span === "day" ? 86_400_000 : 3_600_000;
  const known = new Map(usage.steps.map((s) => [Date.parse(s.start), value(s)]));
  const points: Point[] = [];
  const from = Math.floor(Date.parse(usage.from) / size) * size;
  for (let at = from; at < Date.parse(usage.to) && points.length < 400; at += size) {
    points.push({ at: new Date(at).toISOString(), value: known.get(at) ?? 0 });
  }
  return points;
}
