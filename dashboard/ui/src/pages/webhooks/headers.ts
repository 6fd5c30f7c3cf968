/** Reads "Name: value" lines; the server has the last word on names and values. */
export function parseHeaders(text: string): { headers: Record<string, string> } | { wrong: string } {
  const headers: Record<string, string> = Object.create(null);
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const at = line.indexOf(":");
    const name = line.slice(0, at).trim();
    if (at < 1 || name === "") return { wrong: `“${line.trim().slice(0, 40)}” has no name: write Name: value.` };
    if (name in headers) return { wrong: `${name} is there twice.` };
    headers[name] = line.slice(at + 1).trim();
  }
  return { headers };
}
