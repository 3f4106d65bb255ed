import { tmpdir } from 'node:os';
import { ScriptedEmbedder } from '../../core/memory/search/scriptedEmbedder.ts';
import { describe, expect, it } from 'vitest';
import { examine, type DoctorParts } from '../../../src/backend/health/doctor.ts';
import type { Embedder } from '../../../src/core/ports/search.ts';
import type { Engine } from '../../../src/core/ports/engine.ts';
import { checkHealth } from '../../../src/backend/health/health.ts';
import type { EngineStatus } from '../../../src/protocol/schemas/health.ts';
import type { Capabilities } from '../../../src/protocol/schemas/capabilities.ts';
import { CwmError } from '../../../src/protocol/errors.ts';

const signal = new AbortController().signal;

const up: EngineStatus = {
  spec: 'embedded',
  reachable: true,
  kind: 'embedded',
  version: '1',
  model: 'noise',
  maxModelLen: 32_768,
  blockTokens: 32,
  pid: 7,
  url: null,
  problem: null,
  notices: [],
};
const down: EngineStatus = {
  ...up,
  reachable: false,
  problem: { code: 'CWM-5001', message: 'Nothing listens.', hint: 'Start it.' },
};

const capabilities: Capabilities = {
  items: [{ name: 'isolation', state: 'no', found: 'The salt is ignored.', remedy: 'Change it.' }],
  blockTokens: 32,
  cost: { requests: 4, promptTokens: 386, ms: 1 },
};
const unused = new Proxy({} as Engine, { get: (_, call) => () => expect.unreachable(`${String(call)} is not needed`) });

function parts(status: EngineStatus, fields: Partial<DoctorParts> = {}): DoctorParts {
  const engines = {
    defaultSpec: 'embedded',
    get: () => ({ ...unused, probe: async () => capabilities }),
    status: async (spec: string) => ({ ...status, spec }),
  };
  return { storage: tmpdir(), engines, problems: () => [], limitation: null, embeddings: null, ...fields };
}

describe('doctor', () => {
  it('S1-55 tries a named server of embeddings, and says what is wrong with it', async () => {
    const found = async (change: (embedder: ScriptedEmbedder) => Partial<Embedder> | void) => {
      const scripted = new ScriptedEmbedder();
      const changed = change(scripted);
      const embedder: Embedder = { server: scripted.server, embed: (...asked) => scripted.embed(...asked), ...changed };
      const own = parts(up, { embeddings: 'http://host:2' });
      const engines = { ...own.engines, embedder: () => embedder };
      const { findings } = await examine({ ...own, engines }, undefined, signal);
      return findings.filter(({ name }) => name === 'embeddings');
    };
    expect(await found(() => undefined)).toMatchObject([{ state: 'ok', detail: 'http://host:2 embeds with meant' }]);
    const remedy = expect.stringContaining('--embeddings-server');
    expect(await found(() => ({ embed: async () => null }))).toMatchObject([
      { state: 'warning', detail: 'http://embedder serves no embeddings.', remedy },
    ]);
    expect(await found((embedder) => void (embedder.isGood = false))).toMatchObject([
      { state: 'warning', detail: expect.stringContaining('do not say what texts are about'), remedy },
    ]);
    const refused = new CwmError('EngineUnavailable', 'Nothing listens at http://host:2.');
    expect(await found((embedder) => void (embedder.failure = refused))).toMatchObject([
      { state: 'warning', detail: `${refused.message} (${refused.code})` },
    ]);
    expect((await examine(parts(up), undefined, signal)).findings.some(({ name }) => name === 'embeddings')).toBe(
      false,
    );
  });

  it('finds nothing to do where all is well, and asks the engine that was named', async () => {
    const { engine, findings } = await examine(parts(up), 'http://host:1', signal);
    expect(engine.spec).toBe('http://host:1');
    const engineFindings = findings.filter(({ name }) => ['engine', 'model', 'KV blocks', 'records'].includes(name));
    expect(engineFindings.map(({ state, remedy }) => ({ state, remedy }))).toEqual(
      Array.from({ length: 4 }, () => ({ state: 'ok', remedy: '' })),
    );
  });

  it('passes on what the engine says is wrong, and what to do', async () => {
    const { findings } = await examine(parts(down), undefined, signal);
    expect(findings.at(-1)).toEqual({
      name: 'engine',
      state: 'failed',
      detail: 'Nothing listens. (CWM-5001)',
      remedy: 'Start it.',
    });
  });

  it('tries what the engine can do, and only where it is there', async () => {
    expect((await examine(parts(up), undefined, signal)).capabilities).toEqual(capabilities);
    expect((await examine(parts(down), undefined, signal)).capabilities).toBeNull();
  });

  it('continues when the engine dies during the probe, and ends when the caller aborts', async () => {
    const leaving = parts(up);
    const probe = () => Promise.reject(new CwmError('EngineUnavailable', 'It has gone.', { hint: 'Start it.' }));
    const engines = { ...leaving.engines, get: () => ({ ...unused, probe }) };
    const { findings, capabilities } = await examine({ ...leaving, engines }, undefined, signal);
    expect(capabilities).toBeNull();
    expect(findings.at(-1)).toEqual({
      name: 'capabilities',
      state: 'failed',
      detail: 'It has gone. (CWM-5001)',
      remedy: 'Start it.',
    });
    await expect(examine({ ...leaving, engines }, undefined, AbortSignal.abort())).rejects.toThrow('aborted');
  });

  it('says that a thaw cannot be proven where the engine does not give its block size, and shows its notices', async () => {
    const silent = parts({ ...up, blockTokens: null, notices: ['Look here.'] });
    const probe = async () => ({ ...capabilities, blockTokens: null });
    const engines = { ...silent.engines, get: () => ({ ...unused, probe }) };
    const { findings } = await examine({ ...silent, engines }, undefined, signal);
    const seen = await examine(silent, undefined, signal);
    expect(seen.engine.blockTokens).toBe(32);
    expect(seen.findings).toContainEqual(expect.objectContaining({ name: 'KV blocks', state: 'ok' }));
    expect(findings).toContainEqual(expect.objectContaining({ name: 'KV blocks', state: 'unknown' }));
    expect(findings).toContainEqual({ name: 'notice', state: 'warning', detail: 'Look here.', remedy: '' });
  });

  it('says of a model server without blocks that it counts reuse in tokens', async () => {
    const llama = parts({ ...up, blockTokens: 1 });
    const probe = async () => ({ ...capabilities, blockTokens: 1 });
    const engines = { ...llama.engines, get: () => ({ ...unused, probe }) };
    const { findings } = await examine({ ...llama, engines }, undefined, signal);
    const detail = 'none: the model server counts reuse in tokens';
    expect(findings).toContainEqual({ name: 'KV blocks', state: 'ok', detail, remedy: '' });
  });

  it('counts damaged records and names the first', async () => {
    const problems = Array.from({ length: 5 }, (_, index) => ({ path: `file${index}`, what: 'cut' }));
    const { findings } = await examine(parts(up, { problems: () => problems }), undefined, signal);
    const records = findings.find(({ name }) => name === 'records');
    expect(records).toMatchObject({ state: 'warning', remedy: expect.stringContaining('verify') });
    expect(records?.detail).toBe('5 damaged: file0 (cut), file1 (cut), file2 (cut) and 2 more');
  });

  it('does not fail where the free space is unknown', async () => {
    const { findings } = await examine(parts(up, { storage: '/nowhere/at/all' }), undefined, signal);
    expect(findings).toContainEqual(expect.objectContaining({ name: 'storage', state: 'unknown' }));
  });
});

describe('health', () => {
  const page = { items: [], total: 3, hasMore: false };
  const operations = { listSessions: async () => page, listWindows: async () => page };
  const enginesOf = (lastStatuses: EngineStatus[]) => ({
    lastStatuses,
    refresh: async () => void lastStatuses.splice(0),
    defaultSpec: 'http://chosen:1',
  });

  it('is healthy, degraded or unhealthy by what was found, and asks engines only when told to', async () => {
    const sound = { storage: '/s', operations, problems: () => [], limitation: null };
    expect(await checkHealth({ ...sound, engines: enginesOf([up]) }, false, signal)).toMatchObject({
      status: 'healthy',
      sessions: 3,
      windows: 3,
      pid: process.pid,
      engines: [up],
    });
    expect(await checkHealth({ ...sound, engines: enginesOf([down]) }, false, signal)).toMatchObject({
      status: 'degraded',
    });
    expect(await checkHealth({ ...sound, engines: enginesOf([down]) }, true, signal)).toMatchObject({ engines: [] });
    const flawed = { ...sound, engines: enginesOf([]), problems: () => [{ path: 'x', what: 'cut' }] };
    expect(await checkHealth(flawed, false, signal)).toMatchObject({ status: 'degraded' });
    const broken = { ...operations, listWindows: () => Promise.reject(new CwmError('ReadFailed', 'no')) };
    const unreadable = { ...sound, engines: enginesOf([]), operations: broken };
    expect(await checkHealth(unreadable, false, signal)).toMatchObject({ status: 'unhealthy', windows: 0 });
  });
});
