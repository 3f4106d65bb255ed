import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openModel } from '../../../src/embedded/model/openModel.ts';
import { findModelFiles } from '../../../src/embedded/model/modelFiles.ts';
import { scratch, type Scratch } from '../support/smallModel.ts';

const gguf = (version = 3, more = ''): Buffer => {
  const head = Buffer.from('GGUF\0\0\0\0', 'latin1');
  head.writeUInt32LE(version, 4);
  return Buffer.concat([head, Buffer.from(more)]);
};

describe("a model's files", () => {
  let folder: Scratch;
  const write = (name: string, content: string | Buffer): string => {
    const path = join(folder.path, name);
    writeFileSync(path, content);
    return path;
  };
  const partName = (at: number, of = 3): string =>
    `Big-Q4-${`${at}`.padStart(5, '0')}-of-${`${of}`.padStart(5, '0')}.gguf`;
  const writeParts = (): string[] => [1, 2, 3].map((at) => write(partName(at), gguf(3, `part ${at}`)));
  const open = (path: string) => openModel(path, folder.path, () => undefined);

  beforeEach(() => {
    folder = scratch();
  });
  afterEach(() => folder[Symbol.dispose]());

  it('are one file, known by its name', () => {
    const path = write('Tiny-Q4.GGUF', gguf());
    expect(findModelFiles(path)).toEqual({ path, name: 'Tiny-Q4', parts: [path] });
  });

  it('are all parts of a split model, known by the name without the number', () => {
    const parts = writeParts();
    expect(findModelFiles(parts[0]!)).toEqual({ path: parts[0], name: 'Big-Q4', parts });
  });

  it('a link stays as it is named, as in a cache whose files are named by their hash', () => {
    const blobs = join(folder.path, 'blobs');
    mkdirSync(blobs);
    writeFileSync(join(blobs, '0'.repeat(64)), gguf());
    for (const at of [1, 2, 3]) symlinkSync(join('blobs', '0'.repeat(64)), join(folder.path, partName(at)));
    const files = findModelFiles(join(folder.path, partName(1)));
    expect(files.name).toBe('Big-Q4');
    expect(files.parts).toHaveLength(3);
  });

  it.each<[string, string | Buffer, string, RegExp]>([
    ['is empty', '', 'empty.gguf', /is not a GGUF file: it is empty/],
    ['is a web page', '\n <!DOCTYPE html><html>', 'page.gguf', /is not a GGUF file but a web page/],
    ['is a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', 'lfs.gguf', /Git LFS pointer/],
    ['holds safetensors', Buffer.from('\x40\0\0\0\0\0\0\0{"__metadata__"', 'latin1'), 'st.gguf', /a safetensors file/],
    ['is a ZIP archive', 'PK\x03\x04....', 'zip.gguf', /a ZIP archive/],
    ['is in an older format', 'tjgg\x03\0\0\0', 'old.gguf', /before GGUF/],
    ['is an error message', '{"error":"Access denied"}', 'json.gguf', /JSON text/],
    ['is something else', 'Not a model.', 'text.gguf', /text\.gguf is not a GGUF file\.$/],
    ['ends within its head', 'GGUF\x03', 'head.gguf', /cut short/],
    ['is big-endian', gguf(0x0300_0000), 'big.gguf', /big-endian/],
    ['is of a later version', gguf(9), 'new.gguf', /GGUF version 9; this llama\.cpp reads up to version 3/],
    [
      'is not the first part',
      gguf(),
      'P-00002-of-00003.gguf',
      /part 2 of 3 of a model\. Name the first part, P-00001-of-00003/,
    ],
    ['is alone', gguf(), 'P-00001-of-00003.gguf', /Part 2 of 3 of the model is missing: .*P-00002-of-00003\.gguf/],
  ])('K3 the message says what is wrong with a file that %s', (_, content, name, words) => {
    const path = write(name, content);
    expect(() => findModelFiles(path)).toThrow(words);
    expect(() => findModelFiles(path)).toThrow(expect.objectContaining({ name: 'NotAModel' }) as Error);
  });

  it('that are a folder, or missing, are named so', () => {
    expect(() => findModelFiles(folder.path)).toThrow('is not a file');
    expect(() => findModelFiles(join(folder.path, 'none.gguf'))).toThrow('does not exist');
  });

  it('K6 are another model when any part has other bytes', async () => {
    const parts = writeParts();
    const before = await open(parts[0]!);
    writeFileSync(parts[2]!, gguf(3, 'other!'));
    const after = await open(parts[0]!);
    expect(after.sha256).not.toBe(before.sha256);
    expect(before.isUnchanged()).toBe(false);
    expect(after.isUnchanged()).toBe(true);
  });

  it('K6 are the same model under another name', async () => {
    const one = await open(write('one.gguf', gguf(3, 'weights')));
    const other = await open(write('other.gguf', readFileSync(one.path)));
    expect(other.sha256).toBe(one.sha256);
  });
});
