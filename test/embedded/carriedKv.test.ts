import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readConversationFile } from '../../src/setup/conversationFile.ts';
import {
  decodeBlock,
  encodeBlock,
  headBytes,
  nameBytesOf,
  type PieceKind,
} from '../../src/embedded/kv/files/blockFile.ts';
import { codeOf } from '../core/coreFixture.ts';
import { coreInStorage, kvDirOf } from './support/coreInStorage.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { writeOddModel } from './support/oddModel.ts';
import { restartableEngine } from './support/restartableEngine.ts';
import { scratch } from './support/smallModel.ts';

const never = new AbortController().signal;
const token = 'the token of this test';
const text = (seed: string): string =>
  Array.from({ length: 40 }, (_, at) => `${seed} line ${at}: ${at * 7919}`).join('\n');

type Kind = 'generated' | 'gemma3' | 'mamba';

/** The core over a store of its own and the embedded engine: what one user has on one machine. */
async function machine(kind: Kind, seed = 1) {
  const folder = scratch();
  const flags = kind === 'generated' ? [] : ['--model', writeOddModel(join(folder.path, 'odd.gguf'), kind, { seed })];
  const storage = join(folder.path, 'storage');
  onTestFinished(() => folder[Symbol.dispose]());
  const start = () =>
    EngineProcess.startWith({ CWM_ENGINE_TOKEN: token }, kvDirOf(storage), '--context', '4096', ...flags);
  const { engine, restart } = await restartableEngine(start, token);
  const cwm = await coreInStorage(storage, engine);
  return {
    cwm,
    folder: folder.path,
    restart,
    /** A conversation with one answer, frozen, and then a file with its KV. */
    exported: async (session = 's', about = session) => {
      await cwm.createSession({ id: session });
      await cwm.send({ session, text: text(about), maxTokens: 12 }, never);
      await cwm.freeze({ session, window: session, checkpoint: true }, never);
      const path = join(folder.path, `${session}.cwindow`);
      writeFileSync(path, (await cwm.exportConversation({ session, format: 'cwindow' })).content);
      const told = await cwm.exportKv({ session }, never);
      const written = await cwm.exportKv({ session, path }, never);
      expect(written).toEqual(told);
      return { path, written };
    },
    /** The next answer of a session that has the text of the file alone. */
    computed: async (path: string, id = 'computed') => {
      const { bytes } = await readConversationFile(path);
      await cwm.importConversation({ content: Buffer.from(bytes).toString(), id });
      return cwm.send({ session: id, text: 'And then?', maxTokens: 12 }, never);
    },
    /** What `cwm import FILE --kv` does. */
    imported: async (path: string, id = 'i') => {
      const { bytes, kvOffset } = await readConversationFile(path);
      const read = await cwm.importConversation({ content: Buffer.from(bytes).toString(), id });
      return { read, taken: await cwm.importKv({ session: id, path, offset: kvOffset ?? -1 }, never) };
    },
  };
}

interface PackPiece {
  readonly kind: PieceKind;
  readonly block: number;
  readonly name: string;
  readonly payload: Buffer;
}

/** A file's text and head of KV, and the pieces behind them. */
function piecesOf(path: string): { readonly before: Buffer; readonly pieces: readonly PackPiece[] } {
  const file = readFileSync(path);
  let at = file.indexOf('\n}\n{"format":"cwm-kv"') + 3;
  const line = (): string => {
    const end = file.indexOf('\n', at);
    const text = file.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  line();
  const before = file.subarray(0, at);
  const pieces: PackPiece[] = [];
  while (at < file.length) {
    const { kind, block, bytes } = JSON.parse(line()) as { kind: PieceKind; block: number; bytes: number };
    const content = file.subarray(at, at + bytes);
    at += bytes;
    const name = nameBytesOf(content.subarray(0, headBytes)).toString('hex');
    const payload = decodeBlock(name, Buffer.from(content), kind, { key: null });
    if (!payload) throw new Error('The test reads what was not written.');
    pieces.push({ kind, block, name, payload: Buffer.from(payload) });
  }
  return { before, pieces };
}

/** Writes a file whose tags hold, whatever is in it, as somebody can who knows the format. */
function forge(path: string, before: Buffer, pieces: readonly PackPiece[]): void {
  writeFileSync(path, before);
  for (const { kind, block, name, payload } of pieces) {
    const { head, body } = encodeBlock(name, payload, kind, { key: null });
    appendFileSync(path, `${JSON.stringify({ kind, block, bytes: head.length + body.length })}\n`);
    appendFileSync(path, Buffer.concat([head, body]));
  }
}

const answerOf = async ({ cwm }: Awaited<ReturnType<typeof machine>>, session: string): Promise<string> =>
  (await cwm.send({ session, text: 'And then?', maxTokens: 12 }, never)).text;

describe.each<Kind>(['generated', 'gemma3'])('KV in a file, of %s', (kind) => {
  test('is used on another machine, and never proven there before it was computed there', async () => {
    const [home, away] = [await machine(kind), await machine(kind)];
    const { path, written } = await home.exported();
    expect(written.tokens).toBeGreaterThan(300);
    expect(written.notes).toEqual([]);
    expect(readFileSync(path)).toHaveLength((await readConversationFile(path)).kvOffset! + written.bytes);

    const { read, taken } = await away.imported(path);
    expect(read.messages).toBe(2);
    expect(taken).toMatchObject({ notes: [] });
    expect(taken.tokens).toBeGreaterThan(300);
    const frozen = await away.cwm.freeze({ session: 'i', window: 'w' }, never);
    expect(frozen).toMatchObject({ verdict: 'reused', content: { checksums: 'agreed', isImported: true } });
    expect(frozen.summary).toContain('came with a file');
    await away.restart();
    const thawed = await away.cwm.thaw({ window: 'w', session: 't' }, never);
    expect(thawed).toMatchObject({ verdict: 'reused', tier: 'disk', content: { canary: 'agreed', isImported: true } });
    expect(thawed.notes.join(' ')).toContain('--recompute');

    await away.cwm.send({ session: 't', text: 'Go on.', maxTokens: 4 }, never);
    expect(await away.cwm.freeze({ session: 't', window: 'later', checkpoint: true }, never)).toMatchObject({
      verdict: 'reused',
    });
    const again = await away.cwm.freeze({ session: 't', window: 'own', recompute: true }, never);
    expect(again).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed' } });
    expect(again.content.isImported).toBeUndefined();
    expect(await away.cwm.thaw({ window: 'own', session: 'u' }, never)).toMatchObject({ verdict: 'proven' });
  });

  test('saves the other machine the computation, and the answer is the same', async () => {
    const [home, away] = [await machine(kind), await machine(kind)];
    const { path } = await home.exported();
    const { taken } = await away.imported(path);
    const sent = await away.cwm.send({ session: 'i', text: 'And then?', maxTokens: 12 }, never);
    expect(sent.cachedTokens).toBeGreaterThanOrEqual(taken.tokens);
    const computed = await away.computed(path);
    expect(computed).toMatchObject({ cachedTokens: 0, text: sent.text });
  });

  test('that is damaged, cut, or of another text is left in the file, and the conversation opens and is answered', async () => {
    const [home, away] = [await machine(kind), await machine(kind)];
    const { path } = await home.exported();
    const whole = readFileSync(path);
    const text = (await readConversationFile(path)).kvOffset!;
    const tries: Record<string, Buffer> = {
      flipped: Buffer.from(whole),
      cut: whole.subarray(0, text + 2000),
      headless: Buffer.concat([whole.subarray(0, text + 30), Buffer.from('\n')]),
      huge: Buffer.concat([
        whole.subarray(0, whole.indexOf('\n', text) + 1),
        Buffer.from('{"kind":"rows","block":0,"bytes":9007199254740000}\n'),
      ]),
      edited: Buffer.concat([
        Buffer.from(whole.toString('utf8', 0, text).replaceAll('line 0:', 'lime 0:')),
        whole.subarray(text),
      ]),
    };
    const first = whole.indexOf('\n', whole.indexOf('\n', text) + 1) + 1;
    tries['flipped']![first + headBytes + 5]! ^= 1;
    for (const [name, content] of Object.entries(tries)) {
      const changed = join(away.folder, `${name}.cwindow`);
      writeFileSync(changed, content);
      const { read, taken } = await away.imported(changed, name);
      expect([name, read.messages, taken.tokens]).toEqual([name, 2, 0]);
      expect([name, taken.notes.length]).toEqual([name, 1]);
    }
    const sent = await away.cwm.send({ session: 'flipped', text: 'And then?', maxTokens: 12 }, never);
    expect(sent).toMatchObject({ cachedTokens: 0, text: (await away.computed(path)).text });
    // Nothing of the file is in it, so that it is like any other conversation.
    expect(await away.cwm.freeze({ session: 'flipped', window: 'own' }, never)).toMatchObject({ verdict: 'proven' });
  });
});

test('KV of other tokens under the names of these is used and never proven; computed here, the conversation is the right one again', async () => {
  const [home, away] = [await machine('generated'), await machine('generated')];
  const { path } = await home.exported('right', 'A fine day');
  const other = await home.exported('lie', 'A long way');
  const { before, pieces } = piecesOf(path);
  const lies = piecesOf(other.path).pieces;
  const lie = join(away.folder, 'lie.cwindow');
  forge(
    lie,
    before,
    pieces.map((piece, at) => ({ ...piece, payload: lies[at]?.payload ?? piece.payload })),
  );
  const { taken } = await away.imported(lie);
  expect(taken).toMatchObject({ notes: [] });
  expect(taken.tokens).toBeGreaterThan(300);
  const frozen = await away.cwm.freeze({ session: 'i', window: 'w' }, never);
  expect(frozen).toMatchObject({ verdict: 'reused', content: { isImported: true } });
  await away.restart();
  expect(await away.cwm.thaw({ window: 'w', session: 't' }, never)).toMatchObject({ verdict: 'reused' });
  const right = await answerOf(home, 'right');
  await away.cwm.clone({ window: 'w', target: 'copy' }, never);
  expect(await away.cwm.thaw({ window: 'copy', session: 'believed' }, never)).toMatchObject({ verdict: 'reused' });
  expect(await answerOf(away, 'believed')).not.toBe(right);
  const own = await away.cwm.freeze({ session: 't', window: 'own', recompute: true }, never);
  expect(own).toMatchObject({ verdict: 'proven' });
  await away.cwm.thaw({ window: 'own', session: 'u' }, never);
  expect(await answerOf(away, 'u')).toBe(right);
  // What was frozen over the lie is not what this machine computes.
  expect((await away.cwm.thaw({ window: 'w', session: 'v' }, never)).verdict).not.toBe('proven');
});

test("a sliding window's state whose cells are not those of these tokens never reaches llama.cpp", async () => {
  const [home, away] = [await machine('gemma3'), await machine('gemma3')];
  const { path } = await home.exported();
  const { before, pieces } = piecesOf(path);
  const changes: readonly ((state: Buffer) => unknown)[] = [
    (state) => state.writeUInt32LE(0x7fff_ffff, 4),
    (state) => state.writeInt32LE(-1, 8),
    (state) => state.writeInt32LE(state.readInt32LE(20), 8),
    (state) => state.writeUInt32LE(2, 12),
    (state) => state.writeUInt32LE(7, 0),
  ];
  for (const [at, change] of changes.entries()) {
    const hostile = join(away.folder, `hostile${at}.cwindow`);
    const forged = pieces.map((piece) => ({ ...piece, payload: Buffer.from(piece.payload) }));
    for (const { kind, payload } of forged) if (kind === 'position') change(payload);
    forge(hostile, before, forged);
    const { taken } = await away.imported(hostile, `h${at}`);
    expect([at, taken.tokens]).toEqual([at, 0]);
    expect(taken.notes[0]).toContain('Damaged pieces of KV');
  }
  expect(await answerOf(away, 'h0')).toBe((await away.computed(path)).text);
});

test('KV of another model is left in the file, and that of a recurrent model in the engine', async () => {
  const [home, other, recurrent] = [await machine('gemma3', 1), await machine('gemma3', 2), await machine('mamba')];
  const { path } = await home.exported();
  expect((await other.imported(path)).taken).toMatchObject({ tokens: 0, notes: ['The KV is of another model.'] });
  await recurrent.cwm.createSession({ id: 's' });
  await recurrent.cwm.send({ session: 's', text: 'Hello.', maxTokens: 2 }, never);
  await expect(codeOf(recurrent.cwm.exportKv({ session: 's' }, never))).resolves.toBe('CWM-5007');
});

test('KV comes into a conversation before anything of it was computed, from a path that says where it is', async () => {
  const [home, away] = [await machine('generated'), await machine('generated')];
  const { path } = await home.exported();
  await away.imported(path);
  await away.cwm.send({ session: 'i', text: 'And then?', maxTokens: 2 }, never);
  const again = away.cwm.importKv({ session: 'i', path, offset: 10 }, never);
  await expect(again).rejects.toMatchObject({ name: 'InvalidTransition' });
  const relative = away.cwm.importKv({ session: 'i', path: 's.cwindow', offset: 10 }, never);
  await expect(relative).rejects.toMatchObject({ name: 'InvalidParameter' });
});

test('a file that cannot be written whole is as it was', async () => {
  const home = await machine('generated');
  const { path } = await home.exported();
  truncateSync(path, 100);
  const aborted = new AbortController();
  aborted.abort();
  await expect(home.cwm.exportKv({ session: 's', path }, aborted.signal)).rejects.toThrow();
  await expect(home.cwm.exportKv({ session: 's', path: join(home.folder, 'none') }, never)).rejects.toThrow(
    'cannot be opened',
  );
  expect(readFileSync(path)).toHaveLength(100);
});
