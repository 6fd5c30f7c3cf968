import { useRef, useState } from "react";
import { createClient } from "@tidewire/client";
import { useEvent } from "@tidewire/client/react";
import { key, start, url } from "../shared/ui";

type Symbols = "ACME" | "BOLT" | "CORA" | "DUNE" | "ECHO";
type Schema = { [S in `cache-price-${Symbols}`]: { price: { price: number } } };

const client = createClient<Schema>({ url, key });

function Row({ symbol }: { symbol: Symbols }) {
  const [{ price, before, updates }, set] = useState({ price: 0, before: 0, updates: 0 });
  // A cache channel hands its last event to whoever subscribes.
  useEvent<Schema, `cache-price-${Symbols}`, "price">(`cache-price-${symbol}`, "price", (now) => set((was) => ({ price: now.price, before: was.price || now.price, updates: was.updates + 1 })));
  const opened = useRef(0);
  opened.current ||= price;
  const change = price && opened.current ? (price / opened.current - 1) * 100 : 0;
  return (
    <tr data-symbol={symbol} data-updates={updates}>
      <td>{symbol}</td>
      <td className={price >= before ? "up" : "down"}>{price ? `${price >= before ? "▲" : "▼"} ${price.toFixed(2)}` : "…"}</td>
      <td className={change >= 0 ? "up" : "down"}>{change >= 0 ? "+" : "−"}{Math.abs(change).toFixed(2)} %</td>
    </tr>
  );
}

start(
  client,
  "Prices",
  "25 updates a second. A second window shows the last price at once.",
  <section className="card">
    <table>
      <thead>
        <tr><th scope="col">Symbol</th><th scope="col">Price</th><th scope="col">Since opened</th></tr>
      </thead>
      <tbody>{(["ACME", "BOLT", "CORA", "DUNE", "ECHO"] as const).map((symbol) => <Row key={symbol} symbol={symbol} />)}</tbody>
    </table>
  </section>,
);
