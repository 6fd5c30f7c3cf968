// The programs in the pages of docs/, taken out and put where they can run.
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { toRequest } from "../examples/app.mjs";

const here = import.meta.url; // Vite would make an asset of new URL(…, import.meta.url)
const root = fileURLToPath(new URL("../", here));

/** The pieces of code of a page. Those that name the same file, as in "```js before/client.js", belong together. */
export async function pieces(page: string): Promise<Map<string, string>> {
  const text = await readFile(new URL(`../../../docs/${page}`, here), "utf8");
  const files = new Map<string, string>();
  for (const [, language, name = language, code] of text.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)) {
    files.set(name as string, (files.get(name as string) ?? "") + code);
  }
  return files;
}

/** A folder like that of somebody who has installed the packages. */
export async function project(...packages: string[]): Promise<{ dir: string; load<T>(file: string, code: string): Promise<T>; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "tidewire-page-"));
  await writeFile(join(dir, "package.json"), '{"type":"module"}');
  for (const name of packages) {
    const link = join(dir, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(name === "@tidewire/client" ? root : join(root, "node_modules", name), link);
  }
  return {
    dir,
    async load(file, code) {
      const path = join(dir, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, code);
      return import(/* @vite-ignore */ pathToFileURL(path).href);
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

/** Serves what answers a Request with a Response. */
export async function serve(port: number, answer: (request: Request) => Promise<Response>): Promise<() => Promise<void>> {
  const http = createServer(async (req, res) => {
    const response = await answer(await toRequest(req)).catch((thrown: Error) => new Response(thrown.stack ?? "", { status: 500 }));
    res.writeHead(response.status, Object.fromEntries(response.headers));
    res.end(Buffer.from(await response.arrayBuffer()));
  });
  http.listen(port, "127.0.0.1");
  await new Promise((resolve) => http.once("listening", resolve));
  return async () => {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  };
}
