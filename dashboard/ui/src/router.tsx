import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { Home, Shell } from "./shell/shell";
import { Loading } from "./ui/parts";
import { Broken, Missing } from "./shell/broken";

type Search = { token?: string; next?: string; view?: string; span?: string };

/** What the address may carry; anything else in it is left out. */
function search(raw: Record<string, unknown>): Search {
  const token = typeof raw.token === "string" || typeof raw.token === "number" ? String(raw.token) : undefined;
  // Only a path of ours: an address in a link must not lead elsewhere.
  const next = typeof raw.next === "string" && /^\/(?![/\\])/.test(raw.next) ? raw.next : undefined;
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return { token, next, view: text(raw.view), span: text(raw.span) };
}

const root = createRootRoute({ component: Outlet, notFoundComponent: Missing, validateSearch: search });

const auth = () => import("./pages/auth");
const door = <const P extends string>(path: P, page: "SignIn" | "SignUp" | "Setup" | "LoginLink" | "Verify" | "Forgot" | "Reset" | "Invitation") =>
  createRoute({ getParentRoute: () => root, path, component: lazyRouteComponent(auth, page) });

const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });
const home = createRoute({ getParentRoute: () => shell, path: "/", component: Home });

const tenant = createRoute({ getParentRoute: () => shell, path: "t/$tenant" });
const tenantPages = [
  createRoute({ getParentRoute: () => tenant, path: "/", beforeLoad: ({ params }) => { throw redirect({ to: "/t/$tenant/apps", params: params as { tenant: string } }); } }),
  createRoute({ getParentRoute: () => tenant, path: "apps", component: lazyRouteComponent(() => import("./pages/tenant/apps"), "Apps") }),
  createRoute({ getParentRoute: () => tenant, path: "team", component: lazyRouteComponent(() => import("./pages/tenant/team"), "Team") }),
  createRoute({ getParentRoute: () => tenant, path: "tokens", component: lazyRouteComponent(() => import("./pages/tenant/tokens"), "Tokens") }),
  createRoute({ getParentRoute: () => tenant, path: "usage", component: lazyRouteComponent(() => import("./pages/tenant/usage"), "Usage") }),
  createRoute({ getParentRoute: () => tenant, path: "audit-log", component: lazyRouteComponent(() => import("./pages/tenant/audit"), "Audit") }),
  createRoute({ getParentRoute: () => tenant, path: "settings", component: lazyRouteComponent(() => import("./pages/tenant/settings"), "TenantSettings") }),
];

const app = createRoute({ getParentRoute: () => shell, path: "apps/$app" });
const appPages = [
  createRoute({ getParentRoute: () => app, path: "/", component: lazyRouteComponent(() => import("./pages/app/overview"), "Overview") }),
  createRoute({ getParentRoute: () => app, path: "start", component: lazyRouteComponent(() => import("./pages/app/start"), "Start") }),
  createRoute({ getParentRoute: () => app, path: "console", component: lazyRouteComponent(() => import("./console/console"), "Console") }),
  createRoute({ getParentRoute: () => app, path: "channels", component: lazyRouteComponent(() => import("./pages/app/channels"), "Channels") }),
  createRoute({ getParentRoute: () => app, path: "connections", component: lazyRouteComponent(() => import("./pages/app/connections"), "Connections") }),
  createRoute({ getParentRoute: () => app, path: "send", component: lazyRouteComponent(() => import("./pages/app/send"), "Send") }),
  createRoute({ getParentRoute: () => app, path: "webhooks", component: lazyRouteComponent(() => import("./pages/webhooks/list"), "Webhooks") }),
  createRoute({ getParentRoute: () => app, path: "webhooks/$webhook", component: lazyRouteComponent(() => import("./pages/webhooks/endpoint"), "Endpoint") }),
  createRoute({ getParentRoute: () => app, path: "webhooks/$webhook/deliveries/$delivery", component: lazyRouteComponent(() => import("./pages/webhooks/delivery"), "DeliveryPage") }),
  createRoute({ getParentRoute: () => app, path: "keys", component: lazyRouteComponent(() => import("./pages/app/keys"), "Keys") }),
  createRoute({ getParentRoute: () => app, path: "jwt", component: lazyRouteComponent(() => import("./pages/app/jwt"), "JWT") }),
  createRoute({ getParentRoute: () => app, path: "settings", component: lazyRouteComponent(() => import("./pages/app/settings"), "Settings") }),
  createRoute({ getParentRoute: () => app, path: "limits", component: lazyRouteComponent(() => import("./pages/app/limits"), "Limits") }),
];

const account = createRoute({ getParentRoute: () => shell, path: "account", component: lazyRouteComponent(() => import("./pages/account"), "Account") });
const operator = createRoute({ getParentRoute: () => shell, path: "operator", component: lazyRouteComponent(() => import("./pages/operator"), "Operator") });

const tree = root.addChildren([
  // The paths of links in mails: tenants.Accounts makes them.
  door("sign-in", "SignIn"),
  door("sign-up", "SignUp"),
  door("setup", "Setup"),
  door("login", "LoginLink"),
  door("verify", "Verify"),
  door("forgot", "Forgot"),
  door("reset", "Reset"),
  door("invitation", "Invitation"),
  shell.addChildren([home, tenant.addChildren(tenantPages), app.addChildren(appPages), account, operator]),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: "/dashboard",
  defaultPreload: "intent",
  defaultErrorComponent: Broken,
  defaultPendingComponent: Loading,
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
