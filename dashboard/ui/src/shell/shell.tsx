import { useQuery } from "@tanstack/react-query";
import { Navigate, Outlet, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { Menu } from "lucide-react";
import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { appQuery, meQuery } from "../api/queries";
import { Button, Empty, ErrorBox, Loading } from "../ui/parts";
import { read, write } from "../ui/theme";
import { Banners } from "./banners";
import { Brand, Side } from "./side";

const lastTenant = "tidewire-tenant";

/** The frame around every page of somebody who is signed in. */
export function Shell() {
  const me = useQuery(meQuery);
  const location = useLocation();
  const [open, setOpen] = useState(false);
  const params = useParams({ strict: false });
  const app = useQuery({ ...appQuery(params.app ?? ""), enabled: params.app !== undefined && me.isSuccess });
  const tenant = params.tenant ?? app.data?.tenant ?? read(lastTenant) ?? undefined;

  useEffect(() => setOpen(false), [location.pathname]);
  useEffect(() => {
    const named = params.tenant ?? app.data?.tenant;
    if (named) write(lastTenant, named);
  }, [params.tenant, app.data?.tenant]);

  if (me.error instanceof ApiError && me.error.status === 401) {
    const next = location.pathname.replace(/^\/dashboard/, "") + location.searchStr;
    return <ToSignIn next={next === "/" || next === "" ? undefined : next} />;
  }
  if (!me.data) {
    return (
      <main className="main">
        {me.error ? <ErrorBox error={me.error} onRetry={() => void me.refetch()} /> : <Loading lines={6} height={32} />}
      </main>
    );
  }
  return (
    <div className="shell">
      <a className="skip" href="#content">To the content</a>
      <div className="top">
        <Button kind="quiet" className="icon" aria-label="Menu" aria-expanded={open} onClick={() => setOpen(true)}>
          <Menu size={20} aria-hidden />
        </Button>
        <Brand />
      </div>
      {open && <button className="scrim" aria-label="Close the menu" onClick={() => setOpen(false)} />}
      <Side open={open} onClose={() => setOpen(false)} me={me.data} tenant={tenant} app={app.data} />
      <main className="main" id="content" tabIndex={-1}>
        <Banners me={me.data} tenant={tenant} />
        <Outlet />
      </main>
    </div>
  );
}

/** Goes once: on its way the address is the one of signing in already, which is nowhere to come back to. */
function ToSignIn(props: { next?: string }) {
  const navigate = useNavigate();
  const [search] = useState(props.next === undefined ? {} : { next: props.next });
  useEffect(() => void navigate({ to: "/sign-in", search, replace: true }), [navigate, search]);
  return <main className="main"><Loading lines={6} height={32} /></main>;
}

/** The start leads to the apps of the tenant that was last looked at. */
export function Home() {
  const { data: me } = useQuery(meQuery);
  if (!me) return <Loading />;
  const last = read(lastTenant);
  const to = me.tenants.find((t) => t.tenant.slug === last) ?? me.tenants[0];
  if (to) return <Navigate to="/t/$tenant/apps" params={{ tenant: to.tenant.slug }} replace />;
  if (me.user?.operator) return <Navigate to="/operator" replace />;
  return (
    <Empty title="You belong to no tenant">
      A tenant holds apps and the people who work on them. Ask an owner of one to invite you at {me.user?.email}.
    </Empty>
  );
}
