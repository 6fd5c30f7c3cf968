import { useQuery } from "@tanstack/react-query";
import { useEffect, type FormEvent, type ReactNode } from "react";
import { installationQuery } from "../../api/queries";
import { Button, ErrorBox } from "../../ui/parts";

/** The frame of the pages before one is signed in. */
export function Frame(props: { title: string; children: ReactNode; foot?: ReactNode }) {
  const { data } = useQuery(installationQuery);
  const brand = data?.brand ?? "Tidewire";
  useEffect(() => {
    document.title = `${props.title} · ${brand}`;
  }, [props.title, brand]);
  return (
    <main className="auth">
      <div className="auth-box">
        <div className="brand"><img src="/dashboard/icon.svg" alt="" />{brand}</div>
        <div className="card">
          <h1>{props.title}</h1>
          {props.children}
        </div>
        <div className="row between small">
          <span>{props.foot}</span>
          {data?.support_url && <a href={data.support_url}>Help</a>}
        </div>
      </div>
    </main>
  );
}

export function Form(props: { submit: string; busy: boolean; error?: unknown; onSubmit: () => void; children: ReactNode }) {
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!props.busy) props.onSubmit();
  };
  return (
    <form className="stack" onSubmit={submit}>
      {props.children}
      <ErrorBox error={props.error} />
      <Button type="submit" kind="primary" block busy={props.busy}>{props.submit}</Button>
    </form>
  );
}
