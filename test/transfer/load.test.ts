/** What the meter of a run's load says of event loops; the files of /proc are read by the runs of other tests. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { thisMachine } from '../../src/machine.ts';
import { loadMeter } from '../../src/transfer/load.ts';

/** Bytes that come without end keep a loop as busy as this. */
async function toil(ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) await turn();
}

suite('the use of event loops', () => {
  test('is that of this thread where there are no others', async () => {
    const measure = loadMeter(thisMachine(), undefined);
    await toil(600);
    const busy = measure().loopUse;
    await sleep(300);
    const idle = measure().loopUse;
    assert.ok(busy > 0.85 && busy <= 1, `busy: ${busy}`);
    assert.ok(idle >= 0 && idle < 0.5, `idle: ${idle}`);
  });

  test('is that of the least used of the threads, also of one that came later', async (t) => {
    const running = (code: string): Worker => {
      const worker = new Worker(code, { eval: true });
      t.after(() => worker.terminate());
      return worker;
    };
    const workers = [running('const go = () => setImmediate(go); go();')];
    const threads = {
      writers: { busy: 0, ms: 0 },
      get loops() {
        return workers.map(({ performance: own }) => own.eventLoopUtilization());
      },
    };
    const measure = loadMeter(thisMachine(), threads);
    await sleep(500);
    const busy = measure().loopUse;
    workers.push(running('setInterval(() => undefined, 1000)'));
    await sleep(500);
    measure();
    await sleep(300);
    const idle = measure().loopUse;
    assert.ok(busy > 0.5, `busy: ${busy}`);
    assert.ok(Math.abs(idle) < 0.5, `idle: ${idle}`);
  });
});
