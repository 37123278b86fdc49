/** Ties the climb to the run: counts what goes through, and sets the width of the slots every half second. */
import type { Climb } from './climb.ts';
import type { Slots } from './slots.ts';

const INTERVAL_MS = 500;

export interface Steering {
  /** Body bytes arrived. */
  bytes(count: number): void;
  /** A request was answered. */
  request(): void;
  /** The server asks for less. */
  pushBack(): void;
  stop(): void;
}

/** Starts at once; the timer does not keep the process alive. */
export function steer(slots: Slots, climb: Climb): Steering {
  let bytes = 0;
  let requests = 0;
  let since = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    slots.width = climb.tick({ bytes, requests, ms: now - since, saturated: slots.saturated });
    [bytes, requests, since] = [0, 0, now];
  }, INTERVAL_MS);
  timer.unref();
  return {
    bytes: (count) => {
      bytes += count;
    },
    request: () => {
      requests++;
    },
    pushBack: () => {
      climb.pushBack();
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
