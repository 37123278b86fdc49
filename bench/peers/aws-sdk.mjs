// One object to one file with the SDK's defaults, as its documentation shows it. Arguments: bucket, key, file.
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

const [bucket, key, file] = process.argv.slice(2);
const client = new S3Client({ forcePathStyle: true });
const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
await pipeline(Body, createWriteStream(file));
