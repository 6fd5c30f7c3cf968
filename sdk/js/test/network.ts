import { connect as dial, createServer, type Server, type Socket } from "node:net";

/** A port of this machine that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as { port: number }).port;
}

/** What lies between client and server: can be cut, fall silent, and lead elsewhere. */
export class Network {
  /** The port it leads to. */
  target = 0;
  /** New connections pass nothing either. */
  silent = false;
  port = 0;

  private _cut = false;
  private _pairs = new Set<[Socket, Socket]>();
  private _server: Server;

  constructor() {
    this._server = createServer((from) => {
      if (this._cut) return from.destroy();
      const pair: [Socket, Socket] = [from, dial(this.target, "127.0.0.1")];
      this._pairs.add(pair);
      for (const [a, b] of [pair, [pair[1], from]] as const) {
        a.on("error", () => {});
        a.on("close", () => this._pairs.has(pair) && b.destroy());
        a.pipe(b);
      }
      if (this.silent) this.freeze();
    });
  }

  async listen(): Promise<string> {
    this.port = await listen(this._server);
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections are refused, and those there were are gone. */
  set cut(yes: boolean) {
    this._cut = yes;
    if (yes) for (const pair of this._pairs) for (const socket of pair) socket.destroy();
  }

  /** From now on the connections there are swallow everything, as a network does that is gone without a word. */
  freeze(): void {
    for (const pair of this._pairs) {
      this._pairs.delete(pair); // that one end closes is not heard at the other either
      for (const socket of pair) socket.unpipe().resume();
      this._frozen.push(...pair);
    }
  }
  private _frozen: Socket[] = [];

  close(): void {
    this.cut = true;
    for (const socket of this._frozen) socket.destroy();
    this._server.close();
  }
}
