/** Checks what came and passes it on; Tidewire keeps the order and the history. */
export default (server) => async (request) => {
  const { user, text } = await request.json().catch(() => ({}));
  if (typeof user !== "string" || typeof text !== "string" || text.length > 500 || !/^[\w-]{1,40}$/.test(user)) {
    return new Response("a message has a user and a text of up to 500 characters", { status: 400 });
  }
  await server.trigger("chat", "message", { user, text, id: crypto.randomUUID() });
  return new Response(null, { status: 204 });
};
