import { useState } from "react";
import { ApiError, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/dialog";
import { CheckField, Field, SelectField, TextField } from "../../ui/parts";

export type Issuer = Schemas["Issuer"];

const places = [["secret", "A shared secret"], ["jwks_url", "Keys published at an address (JWKS)"], ["public_key", "A public key (PEM)"]] as const;
type Place = (typeof places)[number][0];

const algorithms: Record<Place, readonly string[]> = {
  secret: ["HS256", "HS384", "HS512"],
  jwks_url: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
  public_key: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
};

/** The form for an issuer. Its secret is written and never read: left empty, it stays as it is. */
export function IssuerForm(props: { of?: Issuer; at: number; busy: boolean; error: unknown; onSubmit: (i: Issuer) => void; onClose: () => void }) {
  const { of } = props;
  const [issuer, setIssuer] = useState(of?.issuer ?? "");
  const [audience, setAudience] = useState(of?.audience ?? "");
  const [place, setPlace] = useState<Place>(of?.jwks_url ? "jwks_url" : of?.public_key ? "public_key" : "secret");
  const [chosen, setChosen] = useState<readonly string[]>(of?.algorithms ?? ["HS256"]);
  const [key, setKey] = useState(of?.jwks_url ?? of?.public_key ?? "");
  const error = props.error instanceof ApiError ? props.error : undefined;
  const wrong = (field: string) => error?.field(`/settings/jwt/issuers/${props.at}${field}`);
  const move = (to: Place) => {
    setPlace(to);
    setKey("");
    setChosen(algorithms[to].slice(0, 1));
  };
  const kept = place === "secret" && of?.secret_set === true;
  const submit = () => {
    const made: Issuer = { issuer: issuer.trim(), audience: audience.trim(), algorithms: [...chosen] };
    if (kept && key === "") made.secret_set = true;
    else made[place] = place === "secret" ? key : key.trim();
    props.onSubmit(made);
  };
  return (
    <FormDialog title={of ? "Edit the issuer" : "Add an issuer"} submit="Save the issuer" busy={props.busy} error={props.error} onSubmit={submit} onClose={props.onClose}>
      <TextField label="Issuer" required autoFocus value={issuer} onChange={setIssuer} hint="The iss its tokens have." placeholder="https://id.example.com" spellCheck={false} wrong={wrong("/issuer")} />
      <TextField label="Audience" required value={audience} onChange={setAudience} hint="The aud its tokens have for this app." spellCheck={false} wrong={wrong("/audience")} />
      <SelectField label="Its tokens are checked with" value={place} options={places} onChange={(p) => move(p as Place)} />
      <Key place={place} value={key} kept={kept} wrong={wrong(`/${place}`) ?? wrong("")} onChange={setKey} />
      <Algorithms of={algorithms[place]} chosen={chosen} wrong={wrong("/algorithms")} onChange={setChosen} />
    </FormDialog>
  );
}

function Key(props: { place: Place; value: string; kept: boolean; wrong?: string; onChange: (v: string) => void }) {
  const rest = { value: props.value, wrong: props.wrong, onChange: props.onChange, required: !props.kept, spellCheck: false, autoComplete: "off" };
  if (props.place === "jwks_url") return <TextField {...rest} label="Address of the keys" type="url" placeholder="https://id.example.com/.well-known/jwks.json" />;
  if (props.place === "secret") return <TextField {...rest} label="Secret" hint={props.kept ? "One is stored and never shown. Leave this empty to keep it." : "32 bytes or more: openssl rand -base64 48"} />;
  return (
    <Field label="Public key" wrong={props.wrong} hint="The public half, in PEM form.">
      {(a) => <textarea className="input" rows={5} {...a} required value={props.value} onChange={(e) => props.onChange(e.target.value)} spellCheck={false} placeholder="-----BEGIN PUBLIC KEY-----" />}
    </Field>
  );
}

function Algorithms(props: { of: readonly string[]; chosen: readonly string[]; wrong?: string; onChange: (chosen: readonly string[]) => void }) {
  return (
    <fieldset>
      <legend>Algorithms</legend>
      <div className="row">{props.of.map((a) => (
        <CheckField key={a} label={a} checked={props.chosen.includes(a)} onChange={(on) => props.onChange(on ? [...props.chosen, a] : props.chosen.filter((x) => x !== a))} />
      ))}</div>
      {props.wrong && <span className="wrong" role="alert">{props.wrong}</span>}
    </fieldset>
  );
}
