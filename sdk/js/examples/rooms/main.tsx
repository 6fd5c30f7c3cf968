import { useEffect, useRef, useState } from "react";
import { createClient } from "@tidewire/client";
import { useClient, useEvent, usePresence, useTrigger } from "@tidewire/client/react";
import { Composer, Messages, key, post, start, url, user } from "../shared/ui";

type Room = "presence-room-lobby" | "presence-room-garden";
type Schema = { [R in Room]: { $member: { name: string }; message: { user: string; text: string }; "client-typing": { user: string } } };
type Line = { text: string; user?: string };

const client = createClient<Schema>({ url, key, auth: `/api/rooms/auth?user=${encodeURIComponent(user)}` });

function Rooms() {
  const [room, setRoom] = useState<Room | null>("presence-room-lobby");
  return (
    <>
      <nav className="row" aria-label="Rooms">
        {(["lobby", "garden"] as const).map((name) => (
          <button key={name} className="plain" aria-pressed={room === `presence-room-${name}`} onClick={() => setRoom(`presence-room-${name}`)}>{name}</button>
        ))}
        <button className="plain" disabled={!room} onClick={() => setRoom(null)}>leave</button>
      </nav>
      {room ? <Inside key={room} room={room} /> : <p className="card">You are in no room.</p>}
    </>
  );
}

function Inside({ room }: { room: Room }) {
  const { members, error } = usePresence<Schema, Room>(room);
  const [lines, setLines] = useState<Line[]>([]);
  const add = (line: Line) => setLines((all) => [...all, line]);
  const tide = useClient<Schema>();
  useEffect(
    () =>
      tide.channel(room).onMembers((change) => {
        if (change.type !== "sync") add({ text: `${change.member.info.name} ${change.type === "join" ? "joined" : "left"}` });
      }),
    [tide, room],
  );
  const [typing, type, clear] = useTyping(room);
  useEvent<Schema, Room, "message">(room, "message", (message) => {
    clear();
    add(message);
  });
  return (
    <div className="split">
      <section className="card">
        <Messages count={lines.length}>
          {lines.map((line, i) => (
            <li key={i} className={!line.user ? "note" : line.user === user ? "mine" : ""}>
              {line.user && <small>{line.user}</small>}
              <span>{line.text}</span>
            </li>
          ))}
        </Messages>
        <p className="typing" aria-live="polite">{typing && `${typing} is typing …`}</p>
        <Composer label={`Message as ${user}`} onType={type} onSend={(text) => post("/api/rooms/send", { room, user, text })} />
        {error && <p className="error" role="alert">{error.message}</p>}
      </section>
      <aside className="card">
        <h2>Here ({members.length})</h2>
        <ul className="people" aria-label="Members">{members.map((member) => <li key={member.id}>{member.info.name}</li>)}</ul>
      </aside>
    </div>
  );
}

/** Who types in a room, and a function to call on every key. Sends at most once a second. */
function useTyping(room: Room): [string, () => void, () => void] {
  const [who, setWho] = useState("");
  const last = useRef(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const trigger = useTrigger<Schema, Room>(room);
  useEvent<Schema, Room, "client-typing">(room, "client-typing", ({ user: name }) => {
    setWho(name);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setWho(""), 2000);
  });
  return [
    who,
    () => {
      if (Date.now() - last.current < 1000) return;
      last.current = Date.now();
      trigger("client-typing", { user }).catch(() => {}); // not worth a word to the user
    },
    () => setWho(""),
  ];
}

start(client, "Rooms", "Each room has its own people, messages and typing.", <Rooms />);
