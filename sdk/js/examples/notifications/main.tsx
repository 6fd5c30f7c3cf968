import { useEffect, useState } from "react";
import { createClient } from "@tidewire/client";
import { useClient } from "@tidewire/client/react";
import { Composer, key, post, start, url, user } from "../shared/ui";

const client = createClient({ url, key, userAuth: `/api/notifications/user?user=${encodeURIComponent(user)}` });

function Toasts() {
  const [toasts, setToasts] = useState<{ id: number; text: string }[]>([]);
  const tide = useClient();
  useEffect(
    () =>
      tide.user.on<{ text: string }>("notification", ({ text }) => {
        const id = Math.random();
        setToasts((all) => [...all, { id, text }]);
        setTimeout(() => setToasts((all) => all.filter((toast) => toast.id !== id)), 8000);
      }),
    [tide],
  );
  return (
    <div className="toasts" role="log" aria-label="Notifications">
      {toasts.map((toast) => <p key={toast.id} className="toast">{toast.text}</p>)}
    </div>
  );
}

function Notifications() {
  const [to, setTo] = useState("alice");
  return (
    <section className="card">
      <div className="row">
        <span>You are <b>{user}</b>. Notify</span>
        <select aria-label="To" value={to} onChange={(event) => setTo(event.target.value)}>
          {["alice", "bob"].map((name) => <option key={name}>{name}</option>)}
        </select>
      </div>
      <br />
      <Composer label="Text" onSend={(text) => post("/api/notifications/send", { to, text })} />
      <Toasts />
    </section>
  );
}

start(client, "Notifications", "Open it as ?user=alice twice and as ?user=bob: alice's go to both of hers, and to nobody else.", <Notifications />);
