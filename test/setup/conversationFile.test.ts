import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConversationFile, splitConversationFile } from '../../src/setup/conversationFile.ts';
import { scratch } from '../embedded/support/smallModel.ts';

const kv = '{"format":"cwm-kv","version":1}\nbytes';

test.each([
  ['a file of text alone', '{\n  "format": "cwindow"\n}\n', null],
  ['a file with KV', `{\n  "format": "cwindow"\n}\n${kv}`, 26],
  ['a text that names what KV begins with', `{\n  "said": "\\n}\\n{\\"format\\":\\"cwm-kv\\""\n}\n`, null],
  [
    'a text that ends where a piece of the file ends',
    `{\n  "a": "${'x'.repeat((1 << 20) - 13)}"\n}\n${kv}`,
    (1 << 20) + 1,
  ],
  ['lines', '{"a":1}\n{"b":2}\n', null],
  ['nothing', '', null],
])('KV begins behind the text: %s', async (_, content, offset) => {
  using folder = scratch();
  const path = join(folder.path, 'talk.cwindow');
  writeFileSync(path, content);
  const { bytes, kvOffset } = await readConversationFile(path);
  expect(kvOffset).toBe(offset);
  expect(splitConversationFile(Buffer.from(content))).toEqual({ bytes: Buffer.from(bytes), kvOffset: offset });
  expect(Buffer.from(bytes).toString()).toBe(content.slice(0, offset ?? content.length));
});
