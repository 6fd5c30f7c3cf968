import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { clock, summary, type Entry } from "./entries";

const HEIGHT = 32;
const SPARE = 8;

type Props = {
  list: readonly Entry[];
  open?: Entry;
  follow: boolean; // stay at the newest
  onOpen: (e: Entry) => void;
  onLeave: () => void; // somebody scrolled away from the newest
};

/** The list, of which only what is seen is in the page. */
export function Rows({ list, open, follow, onOpen, onLeave }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const most = list.length * HEIGHT;

  useEffect(() => {
    const watched = box.current!;
    const observer = new ResizeObserver(() => setHeight(watched.clientHeight));
    observer.observe(watched);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (follow) box.current!.scrollTop = most;
  }, [follow, most, height, list]);

  const scrolled = () => {
    const at = box.current!;
    setTop(at.scrollTop);
    if (follow && at.scrollTop + at.clientHeight < at.scrollHeight - 3 * HEIGHT) onLeave();
  };
  const keys = (e: KeyboardEvent) => {
    const step = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
    if (step === 0 || list.length === 0) return;
    e.preventDefault();
    const now = open ? list.indexOf(open) : -1;
    const next = list[now < 0 ? list.length - 1 : Math.min(list.length - 1, Math.max(0, now + step))]!;
    onLeave();
    onOpen(next);
    const y = list.indexOf(next) * HEIGHT;
    const at = box.current!;
    if (y < at.scrollTop) at.scrollTop = y;
    else if (y + HEIGHT > at.scrollTop + at.clientHeight) at.scrollTop = y + HEIGHT - at.clientHeight;
  };

  const from = Math.max(0, Math.min(Math.floor(top / HEIGHT), list.length - Math.ceil(height / HEIGHT)) - SPARE);
  const seen = list.slice(from, from + Math.ceil(height / HEIGHT) + 2 * SPARE);
  return (
    <div ref={box} className="cn-list" onScroll={scrolled} onKeyDown={keys} tabIndex={0} role="log" aria-live="off" aria-label="Entries">
      <div className="cn-all" style={{ height: most }}>
        {seen.map((e, i) => (
          <button
            key={e.seq}
            type="button"
            tabIndex={-1}
            className={`cn-row${e.refused ? " bad" : ""}`}
            aria-pressed={e === open}
            style={{ top: (from + i) * HEIGHT }}
            onClick={() => onOpen(e)}
          >
            <time dateTime={new Date(e.time).toISOString()} title={clock(e.time, true)}>{clock(e.time)}</time>
            <span className="cn-code cut">{e.refused && <i aria-hidden>!</i>}{e.code}</span>
            <span className="cn-channel cut">{e.channel ?? ""}</span>
            <span className="cn-text cut">{summary(e)}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
