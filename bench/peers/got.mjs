// One URL to one file with got's stream. Arguments: URL, file.
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import got from 'got';

const [url, file] = process.argv.slice(2);
await pipeline(got.stream(url), createWriteStream(file));
