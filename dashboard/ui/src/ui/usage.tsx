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
  return (
    <div className="stack">
      <Segments label="What is shown" value={shown} options={options} onChange={setShown} />
      <Chart
        label={`${label} by ${usage.span}`}
        points={steps(usage, value)}
        daily={usage.span === "day"}
        limit={shown === "peak_connections" ? props.maxConnections : undefined}
      />
      <dl className="facts small num">
        <dt>Messages</dt><dd>{number(total.messages)}</dd>
        <dt>Published</dt><dd>{number(total.publishes)}</dd>
        <dt>Delivered</dt><dd>{number(total.deliveries)}</dd>
        <dt>Client events</dt><dd>{number(total.client_events)}</dd>
        <dt>Webhooks</dt><dd>{number(total.webhooks)}</dd>
        <dt>API reads</dt><dd>{number(total.queries)}</dd>
        <dt>Sent to clients</dt><dd>{bytes(total.bytes_out)}</dd>
      </dl>
    </div>
  );
}
