import type { TidewireError } from "./errors.js";
import type { Frame } from "./wire.js";

interface Request {
  event: string;
  answers: (frame: Frame) => boolean;
  resolve: (frame: Frame) => void;
  reject: (error: TidewireError) => void;
}

/**
 * What the server still has to answer, in the order it was sent. Errors of the
 * protocol do not say what they are about; the order does.
 */
export class Requests {
  private _open: Request[] = [];

  add(answers: (frame: Frame) => boolean, event: string): Promise<Frame> {
    return new Promise((resolve, reject) => {
      this._open.push({ event, answers, resolve, reject });
    });
  }

  /** Settles the first request that frame answers. */
  answer(frame: Frame): boolean {
    const found = this._open.find((request) => request.answers(frame));
    if (!found) return false;
    this._remove(found);
    found.resolve(frame);
    return true;
  }

  /** Fails the request that an error is about, if it is (only) of that event; false if it is about none. */
  refuse(error: TidewireError, only?: string): boolean {
    // History has its errors in its answer.
    const found = this._open.find((request) => request.event !== "tidewire:history");
    if (!found || (only && found.event !== only)) return false;
    if (found.event !== "pusher:ping") this._remove(found); // the pong still comes
    found.reject(error);
    return true;
  }

  /** Fails everything. */
  fail(error: TidewireError): void {
    for (const request of this._open.splice(0)) request.reject(error);
  }

  private _remove(request: Request): void {
    this._open.splice(this._open.indexOf(request), 1);
  }
}
