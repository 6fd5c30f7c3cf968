const valid = /^[\w-]{1,40}$/;

/** /api/notifications/user signs a user in; /api/notifications/send notifies one. */
export default (server) => async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname.endsWith("/user")) {
    const id = searchParams.get("user") ?? ""; // your session knows this
    return server.handleAuth(request, (channel) => channel === undefined && valid.test(id) && { id });
  }
  const { to, text } = await request.json().catch(() => ({}));
  if (typeof text !== "string" || text.length > 500 || !valid.test(to)) return new Response("a notification is to a user and has a text", { status: 400 });
  await server.sendToUser(to, "notification", { text });
  return new Response(null, { status: 204 });
};
