/** Calls listeners so that one that throws stops neither the others nor the connection. */
export class Emitter<A extends unknown[]> {
  private _listeners = new Set<(...args: A) => void>();

  get size(): number {
    return this._listeners.size;
  }

  /** Adds a listener; the same function added twice is called twice. */
  add(listener: (...args: A) => void): () => void {
    const own = (...args: A) => listener(...args);
    this._listeners.add(own);
    return () => {
      this._listeners.delete(own);
    };
  }

  emit(...args: A): void {
    for (const listener of [...this._listeners]) {
      try {
        listener(...args);
      } catch (error) {
        // Where every uncaught error of the application goes.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** A function that does its work the first time it is called, and only then. */
export function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) {
      done = true;
      work();
    }
  };
}
