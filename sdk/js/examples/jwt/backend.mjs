import { signToken } from "@tidewire/client/server";

/** /api/jwt/token gives the signed-in user a token for the channels they may use. */
export default (server, { jwt }) => async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  const user = searchParams.get("user") ?? ""; // your session knows this
  if (!/^[\w-]{1,40}$/.test(user)) return new Response("no such user", { status: 401 });
  const channel = `private-account-${user}`;
  if (pathname.endsWith("/ping")) {
    await server.trigger(channel, "ping", { at: new Date().toISOString() });
    return new Response(null, { status: 204 });
  }
  // Two that a real backend does not give, to show what happens.
  const kind = searchParams.get("kind");
  const secret = kind === "bad" ? "some other secret of 32 bytes or so" : jwt.secret;
  const expiresIn = kind === "expired" ? -60 : 300;
  return new Response(await signToken({ sub: user, channels: { [channel]: ["subscribe", "history"] } }, { ...jwt, secret, expiresIn }));
};
