import { useState } from "react";
import type { Schemas } from "../api/client";
import { Chart, steps } from "./chart";
import { bytes, number, Segments } from "./parts";

type Step = Schemas["UsageStep"];

const series = {
  messages: { label: "Messages", value: (s: Step) => s.messages },
  peak_connections: { label: "Connections", value: (s: Step) => s.peak_connections },
  publishes: { label: "Published", value: (s: Step) => s.publishes },
  deliveries: { label: "Delivered", value: (s: Step) => s.deliveries },
} as const;

type Name = keyof typeof series;

/** What was used over a span: one chart at a time, and the sums below it. */
export function UsageCharts(props: { usage: Schemas["Usage"]; maxConnections?: number }) {
  const { usage } = props;
  const [shown, setShown] = useState<Name>("messages");
  const { label, value } = series[shown];
  const options = Object.entries(series).map(([name, s]) => [name as Name, s.label] as const);
  const total = usage.total;
  const sums = [
    ["Messages", number(total.messages)], ["Published", number(total.publishes)], ["Delivered", number(total.deliveries)],
    ["Client events", number(total.client_events)], ["Webhooks", number(total.webhooks)], ["API reads", number(total.queries)],
    ["Sent to clients", bytes(total.bytes_out)],
  ] as const;
  return (
    <div className="stack">
      <Segments label="What is shown" value={shown} options={options} onChange={setShown} />
      <Chart
        label={`${label} by ${usage.span}`}
        points={steps(usage, value)}
        daily={usage.span === "day"}
        limit={shown === "peak_connections" ? props.maxConnections : undefined}
      />
      <dl className="sums num">
        {sums.map(([label, sum]) => <div key={label}><dt>{label}</dt><dd>{sum}</dd></div>)}
      </dl>
    </div>
  );
}
