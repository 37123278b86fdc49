/** Starts `distance.ts` in front of an origin and speaks with it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Distance, Passed } from './distance.ts';
import { end, type Origin } from './origin.ts';

const SCRIPT = fileURLToPath(new URL('distance.ts', import.meta.url));

export interface Far extends Origin {
  readonly http: string;
  /** Sets the network and forgets what passed. */
  set(distance: Distance): void;
  passed(): Promise<Passed>;
}

/** A network between the client and `behind`, an origin on a port of the loopback. */
export async function startFar(behind: Origin & { readonly port: number }): Promise<Far> {
  const child = fork(SCRIPT, [String(behind.port)]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    name: 'nginx, far away',
    http: `http://127.0.0.1:${port}`,
    pids: () => [...behind.pids(), child.pid!],
    set: (distance) => child.send({ set: { ...distance } }),
    passed: async () => {
      child.send({});
      const [answer] = (await once(child, 'message')) as [Passed];
      return answer;
    },
    stop: () => end(child),
  };
}
