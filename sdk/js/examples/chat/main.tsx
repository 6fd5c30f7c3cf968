import { useState } from "react";
import { createClient } from "@tidewire/client";
import { useEvent, useGap } from "@tidewire/client/react";
import { Composer, Messages, key, post, start, url, user } from "../shared/ui";

type Schema = { chat: { message: { user: string; text: string; id: string } } };
type Line = { id: string; user: string; text: string } | { id: string; gap: string };

const client = createClient<Schema>({ url, key });

function Chat() {
  const [lines, setLines] = useState<Line[]>([]);
  // The last 50 at the start; after a lost connection, what was missed.
  useEvent<Schema, "chat", "message">("chat", "message", (message) => setLines((all) => [...all, message]), { rewind: 50 });
  useGap<Schema>("chat", (gap) => setLines((all) => [...all, { id: crypto.randomUUID(), gap: gap.reason }]));
  return (
    <section className="card">
      <Messages count={lines.length}>
        {lines.map((line) =>
          "gap" in line ? (
            <li key={line.id} className="gap">Some messages are missing here ({line.gap}).</li>
          ) : (
            <li key={line.id} className={line.user === user ? "mine" : ""}>
              <small>{line.user}</small>
              <span>{line.text}</span>
            </li>
          ),
        )}
      </Messages>
      <Composer label={`Message as ${user}`} onSend={(text) => post("/api/chat/send", { user, text })} />
    </section>
  );
}

start(client, "Chat", "Pull the plug for a while: nothing is lost, nothing comes twice.", <Chat />);
