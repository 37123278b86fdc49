/** A run in a process of its own: `argv[2]` is its source, `argv[3]` its target, `argv[4]` its options as JSON. */
import { fetchModel } from '../../src/index.ts';
import type { FetchOptions } from '../../src/options.ts';

const [, , uri = '', dest = '', options = '{}'] = process.argv;
const result = await fetchModel(uri, dest, JSON.parse(options) as FetchOptions);
const { maxRSS } = process.resourceUsage();
process.stdout.write(JSON.stringify({ ...result, maxRss: maxRSS * 1024 }));
