import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import {
  Activity, Cable, ChartColumn, Gauge, Hash, IdCard, KeyRound, LayoutGrid, LogOut, ScrollText, Send, Server,
  Settings2, SlidersHorizontal, Sparkles, SquareTerminal, Ticket, UserRound, Users, Webhook, type LucideIcon,
} from "lucide-react";
import { useState, type ReactNode } from "react";
import { api, ask, type Schemas } from "../api/client";
import { installationQuery, useMay } from "../api/queries";
import { Button, Segments } from "../ui/parts";
import { setTheme, theme, type Theme } from "../ui/theme";
import { failed } from "../ui/toasts";

export function Brand() {
  const { data } = useQuery(installationQuery);
  return (
    <Link to="/" className="brand">
      <img src="/dashboard/icon.svg" alt="" />
      {data?.brand ?? "Tidewire"}
    </Link>
  );
}

type SideProps = { open: boolean; onClose: () => void; me: Schemas["Me"]; tenant?: string; app?: Schemas["App"] };

export function Side(props: SideProps) {
  return (
    <aside className={`side${props.open ? " open" : ""}`} aria-label="Sidebar">
      <Brand />
      <TenantSwitch me={props.me} tenant={props.tenant} />
      <nav aria-label="Pages" className="stack" onClick={props.onClose}>
        {props.app && <AppNav app={props.app} />}
        {props.tenant && <TenantNav tenant={props.tenant} />}
        {props.me.user?.operator && (
          <div className="nav">
            <span className="nav-title">Installation</span>
            <Item to="/operator" icon={Server}>Operator</Item>
          </div>
        )}
      </nav>
      <div className="side-end">
        <ThemeSwitch />
        <div className="side-who">
          <div className="nav"><Item to="/account" icon={UserRound}>{props.me.user?.name || props.me.user?.email || "Account"}</Item></div>
          <SignOut />
        </div>
      </div>
    </aside>
  );
}

function Item(props: { to: string; icon: LucideIcon; exact?: boolean; children: ReactNode }) {
  const Icon = props.icon;
  return (
    <Link to={props.to} activeOptions={{ exact: props.exact ?? false, includeSearch: false }} activeProps={{ "aria-current": "page" }}>
      <Icon size={17} aria-hidden />
      <span className="cut">{props.children}</span>
    </Link>
  );
}

function AppNav({ app }: { app: Schemas["App"] }) {
  const at = `/apps/${app.id}`;
  const may = useMay(app.tenant);
  return (
    <div className="nav">
      <span className="nav-title">{app.name}</span>
      <Item to={at} exact icon={Activity}>Overview</Item>
      <Item to={`${at}/start`} icon={Sparkles}>Getting started</Item>
      {may.develop && <Item to={`${at}/console`} icon={SquareTerminal}>Live console</Item>}
      {may.develop && <Item to={`${at}/channels`} icon={Hash}>Channels</Item>}
      {may.develop && <Item to={`${at}/connections`} icon={Cable}>Connections</Item>}
      {may.develop && <Item to={`${at}/send`} icon={Send}>Send an event</Item>}
      <Item to={`${at}/webhooks`} icon={Webhook}>Webhooks</Item>
      <Item to={`${at}/keys`} icon={KeyRound}>Keys</Item>
      <Item to={`${at}/jwt`} icon={IdCard}>User tokens</Item>
      <Item to={`${at}/settings`} icon={SlidersHorizontal}>Settings</Item>
      <Item to={`${at}/limits`} icon={Gauge}>Limits</Item>
    </div>
  );
}

function TenantNav({ tenant }: { tenant: string }) {
  const may = useMay(tenant);
  if (!may.role) return null;
  const at = `/t/${tenant}`;
  return (
    <div className="nav">
      <span className="nav-title">Tenant</span>
      <Item to={`${at}/apps`} icon={LayoutGrid}>Apps</Item>
      <Item to={`${at}/usage`} icon={ChartColumn}>Usage</Item>
      <Item to={`${at}/team`} icon={Users}>Team</Item>
      {may.admin && <Item to={`${at}/tokens`} icon={Ticket}>API tokens</Item>}
      {may.admin && <Item to={`${at}/audit-log`} icon={ScrollText}>Audit log</Item>}
      <Item to={`${at}/settings`} icon={Settings2}>Tenant settings</Item>
    </div>
  );
}

function TenantSwitch({ me, tenant }: { me: Schemas["Me"]; tenant?: string }) {
  const navigate = useNavigate();
  if (me.tenants.length === 0) return null;
  const known = me.tenants.some((t) => t.tenant.slug === tenant);
  return (
    <select
      className="input"
      aria-label="Tenant"
      value={known ? tenant : ""}
      onChange={(e) => void navigate({ to: "/t/$tenant/apps", params: { tenant: e.target.value } })}
    >
      {!known && <option value="">Choose a tenant</option>}
      {me.tenants.map((t) => <option key={t.tenant.id} value={t.tenant.slug}>{t.tenant.name}</option>)}
    </select>
  );
}

function ThemeSwitch() {
  const [now, setNow] = useState<Theme>(theme());
  const change = (next: Theme) => {
    setTheme(next);
    setNow(next);
  };
  return <Segments label="Colours" value={now} onChange={change} options={[["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]]} />;
}

function SignOut() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const leave = async () => {
    try {
      await ask(api.DELETE("/api/v1/sessions/current"));
      client.clear();
      await navigate({ to: "/sign-in" });
    } catch (error) {
      failed(error);
    }
  };
  return <Button kind="quiet" className="icon" title="Sign out" aria-label="Sign out" onClick={() => void leave()}><LogOut size={16} aria-hidden /></Button>;
}

