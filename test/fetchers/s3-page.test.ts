/** Objects taken out of a page by hand are those that the SDK reads from it, and what is not understood is left to the SDK. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { takeObjects, takingObjects, type ListedObject } from '../../src/fetchers/s3-page.ts';

const page = (contents: string, rest = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>false</IsTruncated>${contents}${rest}</ListBucketResult>`;
const object = (inner: string): string => `<Contents>${inner}</Contents>`;

const PLAIN: Readonly<Record<string, string>> = {
  'as Amazon writes it':
    '<Key>m/a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0cc1&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>7</Size><StorageClass>STANDARD</StorageClass>',
  'with an owner': '<Key>m/b</Key><Owner><ID>1</ID></Owner><ETag>"x"</ETag><Size>0</Size>',
  'without an ETag': '<Key>m/c</Key><Size>1</Size>',
  'on lines of its own': '\n  <Key>m/d</Key>\n  <ETag>x</ETag>\n  <Size>123456789012</Size>\n',
  'with entities': '<Key>&lt;&amp;amp;&gt;&apos;&quot;</Key><Size>1</Size>',
  'with other letters': '<Key>Ünï→\u{1f600}</Key><Size>1</Size>',
};

const ODD: Readonly<Record<string, string>> = {
  'a numeric entity': object('<Key>a&#65;</Key><Size>1</Size>'),
  'an unknown entity': object('<Key>a&nbsp;b</Key><Size>1</Size>'),
  'a bare ampersand': object('<Key>a&b</Key><Size>1</Size>'),
  'white space at an end': object('<Key> a</Key><Size>1</Size>'),
  'a comment': object('<Key>a<!-- </Key> --></Key><Size>1</Size>'),
  'character data': object('<Key><![CDATA[</Key></Contents>]]></Key><Size>1</Size>'),
  'an attribute': object('<Key lang="en">a</Key><Size>1</Size>'),
  'an attribute outside': '<Contents type="x"><Key>a</Key><Size>1</Size></Contents>',
  'an ETag in another form': object('<Key>a</Key><ETag x="1">"a"</ETag><Size>1</Size>'),
  'an empty ETag': object('<Key>a</Key><ETag/><Size>1</Size>'),
  'no key': object('<Size>1</Size>'),
  'no size': object('<Key>a</Key>'),
  'two keys, one empty': object('<Key/><Key>b</Key><Size>1</Size>'),
  'an object in an object': object(object('<Key>a</Key><Size>1</Size>')),
  'two keys': object('<Key>a</Key><Key>b</Key><Size>1</Size>'),
  'a size that is none': object('<Key>a</Key><Size>-1</Size>'),
  'no end': '<Contents><Key>a</Key><Size>1</Size>',
};

describe('the objects of a page', () => {
  let xml = '';
  let client: S3Client;
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/xml').end(xml);
  });
  before(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    client = new S3Client({
      endpoint: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
      forcePathStyle: true,
      region: 'us-east-1',
      credentials: { accessKeyId: 'k', secretAccessKey: 's' },
      maxAttempts: 1,
    });
  });
  after(() => {
    client.destroy();
    server.close();
  });

  /** What the SDK makes of `body`, alone or with what is taken out before; a failure by its kind. */
  async function objectsOf(body: string, taking: boolean): Promise<unknown> {
    xml = body;
    const command = new ListObjectsV2Command({ Bucket: 'b' });
    const taken = taking ? takingObjects(command) : () => [];
    try {
      const { Contents = [], Name } = await client.send(command);
      const all: ListedObject[] = [...taken(), ...Contents];
      return [Name, all.map(({ Key, Size, ETag }) => ({ Key, Size, ETag }))];
    } catch (error) {
      return (error as Error).message.split('\n')[0];
    }
  }

  for (const [name, inner] of Object.entries(PLAIN))
    it(`${name}, as the SDK has it`, async () => {
      const body = page(
        object(inner) + object('<Key>z</Key><Size>9</Size>'),
        '<KeyCount>2</KeyCount>',
      );
      assert.equal(takeObjects(body)?.objects.length, 2);
      assert.deepEqual(await objectsOf(body, true), await objectsOf(body, false));
    });

  for (const [name, contents] of Object.entries(ODD))
    it(`${name}: left to the SDK`, async () => {
      const body = page(object('<Key>y</Key><Size>9</Size>') + contents);
      assert.equal(takeObjects(body), undefined);
      assert.deepEqual(await objectsOf(body, true), await objectsOf(body, false));
    });

  it('are none where there are none, and the rest stays as it is', () => {
    const body = page('', '<KeyCount>0</KeyCount>');
    assert.deepEqual(takeObjects(body), { objects: [], rest: body });
  });

  it('are what the SDK reads, whatever stands in their place', async () => {
    const piece = fc.constantFrom(
      ...[
        '<Key>a</Key>',
        '<Size>1</Size>',
        '<ETag>&quot;e&quot;</ETag>',
        '<ETag/>',
        '<!-- -->',
        ' \n',
      ],
      ...[
        '<Contents>',
        '</Contents>',
        '<Contents/>',
        '&amp;',
        '<Owner><ID>1</ID></Owner>',
        '<Key/>',
      ],
    );
    const contents = fc.array(piece, { maxLength: 6 }).map((all) => object(all.join('')));
    await fc.assert(
      fc.asyncProperty(fc.array(contents, { maxLength: 3 }), async (all) => {
        const body = page(all.join(''));
        if (takeObjects(body) === undefined) return;
        assert.deepEqual(await objectsOf(body, true), await objectsOf(body, false), body);
      }),
    );
  });
});
