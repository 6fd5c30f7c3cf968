/**
 * MD5 (RFC 1321), which Web Crypto has not and the HTTP API asks for. It guards
 * nothing here: the request is signed with HMAC-SHA256 over it.
 */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));

export function md5(data: Uint8Array): string {
  const padded = new Uint8Array((((data.length + 8) >> 6) + 1) << 6);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, (data.length << 3) >>> 0, true);
  view.setUint32(padded.length - 4, Math.floor(data.length / 2 ** 29), true);
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let at = 0; at < padded.length; at += 64) block(state, view, at);
  let hex = "";
  for (const byte of new Uint8Array(state.buffer)) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

function block(state: Int32Array, view: DataView, at: number): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    let mix: number;
    let word: number;
    if (round === 0) [mix, word] = [(b & c) | (~b & d), i];
    else if (round === 1) [mix, word] = [(d & b) | (~d & c), (5 * i + 1) % 16];
    else if (round === 2) [mix, word] = [b ^ c ^ d, (3 * i + 5) % 16];
    else [mix, word] = [c ^ (b | ~d), (7 * i) % 16];
    const sum = (a + mix + (SINES[i] as number) + view.getInt32(at + word * 4, true)) | 0;
    const shift = SHIFTS[round * 4 + (i % 4)] as number;
    [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}
