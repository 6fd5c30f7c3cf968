import { useState } from "react";
import { createClient } from "@tidewire/client";
import { useEvent } from "@tidewire/client/react";
import { key, start, url } from "../shared/ui";

type Sample = { time: number; cpu: number; memory: number };
type Schema = { metrics: { sample: Sample } };

const client = createClient<Schema>({ url, key });
const KEPT = 60;
const [WIDTH, HEIGHT] = [600, 200];

function Metrics() {
  const [samples, setSamples] = useState<Sample[]>([]);
  // The history fills the chart before the first new sample comes.
  useEvent<Schema, "metrics", "sample">("metrics", "sample", (sample) => setSamples((all) => [...all, sample].slice(-KEPT)), { rewind: KEPT });
  const last = samples.at(-1);
  return (
    <>
      <div className="figures">
        <div className="card"><h2>CPU</h2><b>{last ? `${last.cpu.toFixed(1)} %` : "…"}</b></div>
        <div className="card"><h2>Memory</h2><b>{last ? `${last.memory.toFixed(0)} MB` : "…"}</b></div>
      </div>
      <section className="card">
        <h2>CPU, the last two minutes</h2>
        <Chart values={samples.map((sample) => sample.cpu)} />
      </section>
    </>
  );
}

function Chart({ values }: { values: number[] }) {
  const top = Math.max(10, ...values) * 1.1;
  const x = (i: number) => WIDTH - (values.length - 1 - i) * (WIDTH / (KEPT - 1));
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  const line = values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return (
    <svg viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`} role="img" aria-label={`CPU load, ${values.length} samples`} data-samples={values.length}>
      {[0, 0.5, 1].map((part) => <line key={part} x1="0" x2={WIDTH} y1={HEIGHT * part} y2={HEIGHT * part} stroke="var(--line)" />)}
      {values.length > 1 && <path d={`${line}L${WIDTH} ${HEIGHT}L${x(0)} ${HEIGHT}Z`} fill="var(--accent)" opacity="0.15" />}
      <path d={line} fill="none" stroke="var(--accent)" strokeWidth="2.5" strokeLinejoin="round" />
    </svg>
  );
}

start(client, "Metrics", "A backend publishes its own load every two seconds.", <Metrics />);
