import { X } from "lucide-react";
import { Button, Code, CopyButton, bytes } from "../ui/parts";
import { clock, lines, pretty, type Entry } from "./entries";

type Props = { entry: Entry; onClose: () => void; onFilter: (term: string) => void; onExplain?: () => void };

/** Everything about one entry, and how to go on. */
export function Detail({ entry: e, onClose, onFilter, onExplain }: Props) {
  const facts: [string, string | undefined, string?][] = [
    ["Channel", e.channel, "channel"],
    ["Event", e.event, "event"],
    ["Socket", e.socket_id, "socket"],
    ["User", e.user_id, "user"],
    ["From", e.from],
    ["On the wire", e.wire === undefined ? undefined : e.wire < 1000 ? `HTTP ${e.wire}` : `code ${e.wire}`],
    ["Node", e.node, "node"],
  ];
  return (
    <aside className="cn-detail" aria-label="Entry">
      <div className="row between">
        <h2><code>{e.code}</code></h2>
        <div className="row">
          <CopyButton text={lines([e]).trim()} label="Copy as JSON" />
          <Button kind="quiet" className="icon" aria-label="Close the entry" onClick={onClose}><X size={16} aria-hidden /></Button>
        </div>
      </div>
      {e.remedy && (
        <div className="notice bad">
          <strong>{e.what}</strong>
          <span>{e.remedy}</span>
        </div>
      )}
      {e.text && <p className="cn-said">{e.text}</p>}
      {onExplain && <div><Button onClick={onExplain}>Explain the signature</Button></div>}
      <dl className="facts">
        <dt>Time</dt>
        <dd title={clock(e.time, true)}>{clock(e.time)}</dd>
        {facts.map(([name, value, field]) => value && (
          <div key={name} className="cn-fact">
            <dt>{name}</dt>
            <dd>
              {field ? <button type="button" className="cn-term" title={`Show only ${field}:${value}`} onClick={() => onFilter(`${field}:${value}`)}>{value}</button> : <code>{value}</code>}
            </dd>
          </div>
        ))}
        {e.size !== undefined && <div className="cn-fact"><dt>Size</dt><dd>{bytes(e.size)}</dd></div>}
      </dl>
      {e.data !== undefined && (
        <>
          {e.cut && <p className="muted small">The beginning of the data; a console shows 4 kB of each event.</p>}
          <Code label="data" text={pretty(e.data)} />
        </>
      )}
    </aside>
  );
}
