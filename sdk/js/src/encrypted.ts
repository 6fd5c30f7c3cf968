/**
 * End-to-end encrypted channels (`private-encrypted-…`): opening them in a
 * client, sealing for them on a server. The server between sees neither.
 *
 * @packageDocumentation
 */
import nacl from "tweetnacl";
import type { Decrypter } from "./types.js";
import type { Encrypter } from "./server/index.js";

/** For `createClient({ encryption })`. */
export const encryption: Decrypter = {
  open(sharedSecret, nonce, ciphertext) {
    try {
      const opened = nacl.secretbox.open(bytes(ciphertext), bytes(nonce), bytes(sharedSecret));
      return opened ? new TextDecoder().decode(opened) : undefined;
    } catch {
      return undefined; // not base64, or of the wrong length
    }
  },
};

/** For `createServer({ encryption })`. The master key is 32 random bytes in base64: `openssl rand -base64 32`. */
export function encrypter(masterKeyBase64: string): Encrypter {
  const masterKey = bytes(masterKeyBase64);
  if (masterKey.length !== 32) throw new Error("The encryption master key must be 32 bytes in base64: openssl rand -base64 32");
  const secretOf = async (channel: string): Promise<Uint8Array> => {
    const name = new TextEncoder().encode(channel);
    const joined = new Uint8Array(name.length + masterKey.length);
    joined.set(name);
    joined.set(masterKey, name.length);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
  };
  return {
    async sharedSecret(channel) {
      return base64(await secretOf(channel));
    },
    async seal(channel, text) {
      const nonce = crypto.getRandomValues(new Uint8Array(nacl.secretbox.nonceLength));
      const sealed = nacl.secretbox(new TextEncoder().encode(text), nonce, await secretOf(channel));
      return { nonce: base64(nonce), ciphertext: base64(sealed) };
    },
  };
}

function bytes(base64Text: string): Uint8Array {
  return Uint8Array.from(atob(base64Text), (c) => c.charCodeAt(0));
}

function base64(raw: Uint8Array): string {
  let text = "";
  for (const byte of raw) text += String.fromCharCode(byte);
  return btoa(text);
}
