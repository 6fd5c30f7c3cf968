const known = /^presence-room-(lobby|garden)$/;

/** /api/rooms/auth says who may enter; /api/rooms/send writes into one room. */
export default (server) => async (request) => {
  const path = new URL(request.url).pathname;
  if (path.endsWith("/auth")) {
    const user = new URL(request.url).searchParams.get("user") ?? ""; // your session knows this
    return server.handleAuth(request, (channel) => /^[\w-]{1,40}$/.test(user) && known.test(channel ?? "") && { id: user, info: { name: user } });
  }
  const { room, user, text } = await request.json().catch(() => ({}));
  if (typeof text !== "string" || text.length > 500 || !known.test(room) || !/^[\w-]{1,40}$/.test(user)) return new Response("no such room, user or text", { status: 400 });
  await server.trigger(room, "message", { user, text });
  return new Response(null, { status: 204 });
};
