/** Run in a process of its own: the SDK reads `process.env` itself. Prints what it listed, in JSON. */
import { fromEnv } from '../../src/fetchers/gcs.ts';
import { collect, openBench } from '../servers/gcs-context.ts';

const [uri = '', given = 'process'] = process.argv.slice(2);
const bench = openBench();
const started = performance.now();
try {
  const fetcher = await bench.resolve(
    fromEnv(given === 'process' ? process.env : (JSON.parse(given) as Record<string, string>)),
    uri,
  );
  const [entry] = await collect(fetcher);
  const location = await fetcher.locate(entry!);
  const bytes = location.kind === 'http' ? await bench.read(location, entry!.size) : '';
  process.stdout.write(
    JSON.stringify({ path: entry!.path, bytes, ms: performance.now() - started }),
  );
} finally {
  bench.close();
}
