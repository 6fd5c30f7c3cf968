const start = { ACME: 120, BOLT: 48, CORA: 310, DUNE: 75, ECHO: 18 };

/** A random walk that moves all prices five times a second: 25 events a second, in batches. */
export default (server) => {
  const prices = { ...start };
  const timer = setInterval(() => {
    const events = Object.keys(prices).map((symbol) => {
      prices[symbol] = Math.max(1, prices[symbol] * (1 + (Math.random() - 0.5) / 200));
      return { channel: `cache-price-${symbol}`, event: "price", data: { price: Number(prices[symbol].toFixed(2)) } };
    });
    server.triggerBatch(events).catch(() => {}); // the next one comes soon
  }, 200);
  return { handle: async () => new Response(null, { status: 404 }), stop: () => clearInterval(timer) };
};
