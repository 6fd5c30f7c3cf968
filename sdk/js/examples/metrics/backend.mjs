import { cpuUsage, memoryUsage } from "node:process";

const EVERY_MS = 2000;

/** Publishes this process's own load and memory every two seconds. */
export default (server) => {
  let last = cpuUsage();
  const timer = setInterval(() => {
    const { user, system } = cpuUsage(last);
    last = cpuUsage();
    const data = { time: Date.now(), cpu: (user + system) / 10 / EVERY_MS, memory: memoryUsage().rss / 2 ** 20 };
    server.trigger("metrics", "sample", data).catch(() => {}); // the next one comes soon
  }, EVERY_MS);
  return { handle: async () => new Response(null, { status: 404 }), stop: () => clearInterval(timer) };
};
