// npm install NAME[@MAJOR]…: links installed packages into the current folder.
// What a package itself needs is found beside the package.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";

const installed = path.resolve(import.meta.dirname, "../node_modules");
const [command, ...specs] = process.argv.slice(2);
if (command !== "install" || specs.length === 0 || specs.some((spec) => spec.startsWith("-"))) {
  throw new Error(`want npm install NAME…, got npm ${process.argv.slice(2).join(" ")}`);
}
fs.mkdirSync("node_modules");
fs.symlinkSync(path.join(installed, ".bin"), "node_modules/.bin");
for (const spec of specs) {
  const [, name, major] = /^(@?[^@]+)(?:@(\d+))?$/.exec(spec);
  const { version } = JSON.parse(fs.readFileSync(path.join(installed, name, "package.json")));
  if (major && version.split(".")[0] !== major) throw new Error(`${spec} is wanted, but ${version} is here`);
  fs.mkdirSync(path.dirname(path.join("node_modules", name)), { recursive: true });
  fs.symlinkSync(path.join(installed, name), path.join("node_modules", name));
}
