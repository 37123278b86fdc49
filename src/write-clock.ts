/** How long this thread has waited for its writes, which are synchronous: what a slow volume costs shows nowhere else. */

/** Milliseconds since the thread began. */
let waited = 0;

/** Runs one write, and counts its time. */
export function writing<T>(write: () => T): T {
  const since = performance.now();
  try {
    return write();
  } finally {
    waited += performance.now() - since;
  }
}

/** Milliseconds that writes of this thread have taken so far. */
export function writingMs(): number {
  return waited;
}
