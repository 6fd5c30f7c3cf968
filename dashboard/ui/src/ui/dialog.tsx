import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { Button, ErrorBox, Secret, TextField } from "./parts";

/** A modal over the browser's own: focus, Escape and the rest of the page are its. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; sticky?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current!;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(e) => {
        e.preventDefault();
        if (!props.sticky) props.onClose();
      }}
    >
      <div className="stack">
        <h2 id={id}>{props.title}</h2>
        {props.children}
      </div>
    </dialog>
  );
}

/** A form in a dialog. */
export function FormDialog(props: {
  title: string;
  submit: string;
  danger?: boolean;
  disabled?: boolean;
  busy?: boolean;
  error?: unknown;
  onSubmit: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!props.disabled && !props.busy) props.onSubmit();
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <form className="stack" onSubmit={submit}>
        {props.children}
        <ErrorBox error={props.error} />
        <div className="dialog-end">
          <Button onClick={props.onClose}>Cancel</Button>
          <Button type="submit" kind={props.danger ? "danger" : "primary"} busy={props.busy} disabled={props.disabled}>
            {props.submit}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Asks before something that cannot be undone; name = must be typed. */
export function ConfirmDialog(props: {
  title: string;
  submit: string;
  name?: string;
  busy?: boolean;
  error?: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  const [typed, setTyped] = useState("");
  const matches = props.name === undefined || typed.trim() === props.name;
  return (
    <FormDialog
      title={props.title}
      submit={props.submit}
      danger
      disabled={!matches}
      busy={props.busy}
      error={props.error}
      onSubmit={props.onConfirm}
      onClose={props.onClose}
    >
      <div>{props.children}</div>
      {props.name !== undefined && (
        <TextField label={`Type ${props.name} to confirm`} value={typed} onChange={setTyped} autoComplete="off" spellCheck={false} autoFocus />
      )}
    </FormDialog>
  );
}

/** Shows what will never be shown again. Escape does not close it. */
export function SecretDialog(props: { title: string; secrets: readonly (readonly [string, string])[]; onClose: () => void; children?: ReactNode }) {
  return (
    <Dialog title={props.title} onClose={props.onClose} sticky>
      <p className="muted">Keep it somewhere safe now: it is stored sealed and is never shown again.</p>
      {props.secrets.map(([label, text]) => <Secret key={label} label={label} text={text} />)}
      {props.children}
      <div className="dialog-end"><Button kind="primary" onClick={props.onClose}>I have kept it</Button></div>
    </Dialog>
  );
}
