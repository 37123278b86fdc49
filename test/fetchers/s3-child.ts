/** A process that reads one model with its own environment, for the tests of the credential chain. Prints JSON. */
import { ModelFetchError } from '../../src/errors.ts';
import type { HttpLocation } from '../../src/fetcher.ts';
import { fromEnv } from '../../src/fetchers/s3.ts';
import { parseRef } from '../../src/ref.ts';
import { contextFor, listed, read } from './s3-support.ts';

const ref = parseRef(process.argv[2]!);
const resolver = fromEnv(process.env);
const context = contextFor();
const source = (await resolver.explain!(ref, context)).credentials;
try {
  const fetcher = await resolver.resolve(ref, context);
  const [entry] = await listed(fetcher);
  const answer = await read((await fetcher.locate(entry!)) as HttpLocation);
  process.stdout.write(JSON.stringify({ text: answer.body.toString(), source }));
} catch (error) {
  if (!(error instanceof ModelFetchError)) throw error;
  process.stdout.write(
    JSON.stringify({ code: error.code, message: error.message, hint: error.hint, source }),
  );
}
process.exit(0);
